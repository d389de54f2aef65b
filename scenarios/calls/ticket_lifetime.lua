--- One ticket serves many calls over days; when it expires a new PKINIT brings the next (patent [0046], [0049]). A thumbprint cache spares the
--- KDC the chain of certificates from the second time on [0104].
scenario { title = "Ticket lifetime", tags = { "calls", "pkinit" }, args = { lifetime = "2d", calls = 5, transport = "tcp", pkinit = "rsa" },
  limit = "20d" }

local net = topology "two_branches" { ticket_lifetime = args.lifetime }
local alice = net:cta "alice" { provisioned = "215-555-0101", transport = args.transport, pkinit = args.pkinit }
local bob = net:cta "bob" { provisioned = "610-555-0102", auto_answer = "500ms", transport = args.transport, pkinit = args.pkinit }

local function talk()
  local call = alice:dial(bob.number)
  call:expect { state = "talking", within = "10s" }
  wait "2s"
  call:expect { rtp_received = at_least(90) }
  call:hangup()
  call:expect { keys_destroyed = true, within = "1s" }
  wait "2s"
end

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", tickets = 1, within = "5s" }
  local ends = alice.ticket_ends

  -- many calls under one ticket
  for nth = 1, args.calls do
    talk()
    alice:expect { tickets = 1, exchanges = nth, ticket_ends = time(ends) }
  end
  expect_messages { "one AS-REQ for all these calls", kind = "AS-REQ", from = alice, count = 1 }

  -- shortly before the end the ticket still serves; a call outlives it
  wait(time(ends - now() - ns "30s"))
  local call = alice:dial(bob.number)
  call:expect { state = "talking", within = "10s" }
  alice:expect { tickets = 2, telephony = "ProvisionedAccess", within = "40s" }
  call:expect { state = "talking" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "1s" }
  wait "2s"

  -- and the new one serves like the first
  talk()
  alice:expect { tickets = 2, pkinit_refusals = 0 }
  claim("the new ticket ends later", alice.ticket_ends > ends)

  -- the KDC is away when the ticket expires: NotConfigured, tries again, calls wait for nothing that cannot come
  net.lan4:cut()
  wait(time(alice.ticket_ends - now() + ns "1s"))
  alice:expect { telephony = "NotConfigured" }
  call = alice:dial(bob.number)
  call:expect { state = "failed", within = "2min" }
  net.lan4:mend()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "10min" }
  talk()
end)
