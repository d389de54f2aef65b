--- A customer's certificate has ended, and with it her last ticket; changed software in her CTA goes on showing the ticket (attack T2). The
--- controller holds a ticket to its end, give or take the five minutes by which clocks may differ; where it does not, calls go on
--- without any KDC.
scenario { title = "Expired ticket", tags = { "attack" }, attack = "T2", turns_off = { "sc.check_expiry" }, limit = "8h" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1, certificate_lifetime = "3h", keeps_ticket = true }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local sc1 = net.sc1

local function call_bob()
  local call = alice:dial(bob.number)
  call:expect { state = "talking", from = bob, within = "10s" }
  wait "5s"
  call:hangup()
  alice:expect { line = "Idle", within = "5s" }
end

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }
  local ends = alice.ticket_ends
  claim("the ticket ends with the certificate", ends <= ns "3h", time(ends))
  wait "179min"
  call_bob()
  wait "7min"
  claim("it is over, and so are the five minutes", now() > ends + ns "5min", time(now() - ends))
  alice:expect { tickets = 1, telephony = "ProvisionedAccess" }

  local exchanges, records = sc1.exchanges, sc1.answered
  outcome {
    stopped = function()
      local call = alice:dial(bob.number)
      call:expect { state = "failed", within = "30s" }
      expect_refusals { by = "sc.check_expiry", at = sc1, from = alice, count = at_least(1) }
      sc1:expect { exchanges = exchanges, answered = records }
      expect_refusals { "nor is there another for her", by = "kdc.cert_expired", at = net.kdc1, from = alice, count = at_least(1), within = "10s" }
    end,
    succeeded = function()
      call_bob()
      sc1:expect { "accepted after its end time", exchanges = exchanges + 1, answered = records + 1, within = "1s" }
      alice:expect { tickets = 1 }
    end,
  }
end)
