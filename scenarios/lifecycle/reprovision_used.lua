--- A used CTA gets another customer (FIG. 8). Its first customer gave up the line while it was switched off: plugged in again by the next
--- one it asks for a ticket by the old operator certificate and is refused. A KRB-ERROR proves nothing, so it registers once more, and the
--- head-end's signed configuration says that it has no account: the certificate goes, and it is provisioned like a new one. Then the same
--- customer comes back. Each certificate starts later than all before it.
scenario { title = "Provisioning a used CTA", tags = { "lifecycle", "fig8" }, args = { wan = "10ms" }, limit = "3h" }

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local used = net:cta "used" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local invariants = shared "invariants" (net, { ctas = { used }, others = { 0, 1 } })

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }
never { "I4: no answered call goes free", record = "missing" }

local function everybody_has(count)
  net.pca:expect { customers = count, under_way = 0, within = "30s" }
  net.bh:expect { accounts = count }
  net.sc1:expect { subscribers = count }
  net.cmts1:expect { accounts = count }
end

local function provision(name, number)
  local call = used:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type("want=new;name=" .. name .. ";address=1 Oxford Road;pay=invoice;number=" .. number)
  call:expect { "the number is told", heard = contains("number=" .. number), within = "60s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
  used:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }
  everybody_has(1)
  claim("the number is this device's", net.pca:number { node = used } == number, net.pca:number { node = used })
  call = used:dial(bob.number)
  call:expect { state = "talking", within = "10s" }
  claim("and what the callee sees", bob.call.peer == number, bob.call.peer)
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
end

-- the line ends while the CTA is off; plugged in, it learns so
local function becomes_free(number, times)
  used:power_off()
  net.pca:terminate(number)
  everybody_has(0)
  wait "10min"
  local refused = refusals { by = "kdc.check_subscriber" }
  used:boot()
  used:expect { "the old certificate removed, a ticket by the manufacturer's", telephony = "UnprovisionedAccess", certificates_removed = times,
    within = "2min" }
  expect_refusals { "the old certificate is refused", by = "kdc.check_subscriber", count = refused + 1 }
end

run(function()
  bob:boot()
  used:boot()
  used:expect { telephony = "UnprovisionedAccess", within = "60s" }
  provision("Alice Liddell", "2155550210")
  local alice = net.pca:customer "215-555-0210"
  claim("her call is on her account", net.bh:calls(alice) == 1, net.bh:calls(alice))

  becomes_free("215-555-0210", 1)
  provision("Carol Jones", "2155550220")
  claim("another customer", net.pca:customer "215-555-0220" ~= alice)
  local carol = net.pca:customer "215-555-0220"
  claim("whose calls are not the first one's", net.bh:calls(alice) == 1 and net.bh:calls(carol) == 1)
  claim("the first one is none any more", net.pca:customer "215-555-0210" == nil)
  local call = bob:dial "215-555-0210"
  call:expect { "the old number is dead", state = "failed", within = "30s" }
  used:answer { after = "500ms" }
  call = bob:dial "215-555-0220"
  call:expect { "the new one rings", state = "talking", from = used, within = "10s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }

  becomes_free("215-555-0220", 2)
  provision("Alice Liddell", "2155550210")
  used:expect { "three certificates, none refused", certificates = 3, certificates_refused = 0 }
  net.sc1:expect { records_waiting = 0, within = "10s" }
  net.bh:expect { "each call on its own customer's account", customer_calls = 3, restricted_calls = 3, refused = 0 }
  claim("the second customer's is still one", net.bh:calls(carol) == 1, net.bh:calls(carol))
  invariants.agree "in the end"
end)
