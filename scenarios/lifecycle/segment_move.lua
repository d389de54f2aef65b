--- Segment move (FIG. 10): a provisioned CTA is carried to the other HFC segment. There its operator certificate is worth nothing; it gets a
--- restricted ticket, calls customer service, and has another number. Its old number, ticket, certificate and address are dead everywhere.
scenario { title = "Move to another segment", tags = { "lifecycle", "fig10" }, args = { wan = "10ms" }, limit = "2h" }

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local carol = net:cta "carol" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local invariants = shared "invariants" (net, { ctas = { carol }, others = { 0, 1 } })

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }

local function ask(text, title, answer)
  local call = carol:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type(text)
  call:expect { title, heard = contains(answer), within = "60s" }
  call:hangup()
  carol:expect { line = "Idle", within = "5s" }
end

run(function()
  carol:boot()
  bob:boot()
  carol:expect { telephony = "UnprovisionedAccess", within = "60s" }
  ask("want=new;name=Carol;address=1 Elm St;pay=invoice;options=3way;pin=4711", "provisioned at home", "number=2155550200")
  carol:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }
  local customer = net.pca:customer "215-555-0200"

  -- elsewhere
  carol:carry(net.hfc2)
  carol:expect { telephony = "NotConfigured", line = "Idle" }
  wait "1min"
  carol:boot()
  carol:expect { "a ticket by the manufacturer certificate only", telephony = "UnprovisionedAccess", hfc = "UnprovisionedAccess", within = "3min" }
  local call = carol:dial(bob.number)
  call:expect { "nobody but customer service", state = "failed", status = 403, within = "10s" }
  net.pca:expect { customers = 1 }
  net.sc1:expect { subscribers = 1 }

  -- the customer, and nobody else
  ask("want=move;number=2155550200", "nobody's word is enough", "refused=csr.verify_caller")
  ask("want=move;number=2155550200;pin=0815", "a wrong PIN", "refused=csr.verify_caller")
  ask("want=move;number=2155550200;pin=4711", "moved", "number=6105550200")
  carol:expect { "another certificate", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", certificates = 2, within = "90s" }

  -- what was is no more
  net.pca:expect { customers = 1, under_way = 0 }
  net.bh:expect { accounts = 1 }
  net.sc1:expect { subscribers = 0 }
  net.sc2:expect { subscribers = 2 } -- bob too
  net.cmts1:expect { accounts = 0 }
  net.cmts2:expect { accounts = 1 }
  claim("the old number has no customer", net.pca:customer "215-555-0200" == nil and net.bh:customer "215-555-0200" == nil)
  claim("another customer ID", net.pca:customer "610-555-0200" ~= customer and net.pca:customer "610-555-0200" == net.bh:customer "610-555-0200")
  claim("the same options", net.bh:options "610-555-0200" == "3way")
  call = bob:dial "215-555-0200"
  call:expect { "the old number is nobody's", state = "failed", status = 404, within = "10s" }

  -- the new number
  carol:answer { after = "200ms" }
  call = bob:dial "610-555-0200"
  call:expect { state = "talking", from = carol, within = "10s" }
  call:hangup()
  carol:expect { line = "Idle", within = "5s" }
  call = carol:dial(bob.number)
  call:expect { state = "talking", from = bob, within = "10s" }
  call:hangup()
  carol:expect { line = "Idle", within = "5s" }

  -- back home it is a stranger
  carol:carry(net.hfc1)
  wait "1min"
  carol:boot()
  carol:expect { "at home a stranger", telephony = "UnprovisionedAccess", hfc = "UnprovisionedAccess", within = "3min" }
  invariants.agree "in the end"
end)
