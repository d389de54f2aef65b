--- Ways to be provisioned: by a voice menu, with the work order that an installer keys in (or says, to a representative); for one device or
--- for any, with the number wished for or one by location. And not at all: a device that the provisioning CA denies, a work order that is not
--- there, is used up or is for another device. 911 can be called before.
scenario { title = "Ways of provisioning", tags = { "lifecycle" }, args = { answers = "menu" }, limit = "1h" }

local menu = args.answers == "menu"
local net = topology "two_branches" {
  operations = true, restricted = "411,911", reach = "10.104.0.20", service = { answers = args.answers },
  server = { number = "911", lines = 10, announcement = "2s" }, -- stands for the emergency centre
}
local one = net:cta "one" { dhcp = true, branch = 1 }
local two = net:cta "two" { dhcp = true, branch = 2 }
local bad = net:cta "bad" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local invariants = shared "invariants" (net, { ctas = { one, two, bad }, others = { 0, 1 }, reach = { net.announce } })

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }

-- Calls customer service, says what an installer says, and is told this.
local function order(cta, number, title, answer)
  local call = cta:dial "411"
  call:expect { state = "talking", within = "10s" }
  if menu then
    call:expect { heard = contains "1 new customer", within = "5s" }
    call:press "1"
    call:expect { heard = contains "work order number", within = "5s" }
    call:press(number .. "#")
  else
    call:type("want=new;order=" .. number)
  end
  call:expect { title, heard = contains(answer), within = "60s" }
  call:hangup()
  cta:expect { line = "Idle", within = "5s" }
end

run(function()
  both(one, two):expect { hfc = "NotConfigured" }
  one:boot()
  two:boot()
  bob:boot()
  both(one, two):expect { telephony = "UnprovisionedAccess", within = "60s" }
  bob:expect { telephony = "ProvisionedAccess", within = "5s" }

  -- before anything else: help, and nobody else
  local call = one:dial "911"
  call:expect { "911 before provisioning", state = "talking", from = net.announce, within = "10s" }
  call:expect { state = "over", within = "10s" }
  call = one:dial(bob.number)
  call:expect { "nobody else", state = "failed", status = 403, within = "10s" }
  expect_refusals { by = "sc.enforce_restriction", count = 1 }

  -- work orders
  order(one, "4711", "no such work order", "refused=pca.work_order")
  net.pca:work_order {
    number = "4711", customer = "name=Ada;address=1 Main Street;pay=invoice", options = "3way", wish = "215-555-0277", node = one,
  }
  order(two, "4711", "a work order for another device", "refused=pca.work_order")
  order(one, "4711", "a work order", "number=2155550277")
  one:expect { "provisioned by work order", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }
  net.pca:expect { work_orders = 0 }
  order(two, "4711", "a work order that is used up", "refused=pca.work_order")
  claim("the number and the options of the order", net.bh:options "215-555-0277" == "3way" and net.bh:customer "215-555-0277" ~= nil)

  -- for any device, by location
  net.pca:work_order { number = "4712", customer = "name=Bea;address=2 Main Street;pay=invoice" }
  order(two, "4712", "a number by location", "number=6105550200")
  two:expect { telephony = "ProvisionedAccess", within = "90s" }

  -- denied
  net.pca:deny { node = bad }
  bad:boot()
  bad:expect { "denied: no ticket", pkinit_refusals = at_least(2), telephony = "NotConfigured", hfc = "UnprovisionedAccess", within = "60s" }
  expect_refusals { by = "pca.denied", at = net.pca }
  expect_refusals { by = "kdc.check_provisioning", at = net.kdc1 }
  net.pca:expect { customers = 2, under_way = 0 }
  net.bh:expect { accounts = 2 }
  net.sc1:expect { subscribers = 1 }
  net.sc2:expect { subscribers = 2 } -- bob too

  -- the two are telephones
  two:answer { after = "200ms" }
  call = one:dial "610-555-0200"
  call:expect { state = "talking", from = two, within = "10s" }
  call:hangup()
  invariants.agree "in the end"
end)
