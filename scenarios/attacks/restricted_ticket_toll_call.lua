--- An unprovisioned CTA, whose ticket by its device certificate opens only the operator's own numbers, dials a customer's. The signaling
--- controller holds every call against the ticket; where it does not, the call stands and there is a record of it that no
--- account pays (attack T5; patent [0134], [0138]).
scenario { title = "Toll call on a restricted ticket", tags = { "attack" }, attack = "T5", media = true }

local net = topology "two_branches" {}
local eve = net:cta "eve" { branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2 }
local sc1 = net.sc1
local invariants = shared "invariants" (net, { ctas = { eve }, breaks = { I5 = true } })

run(function()
  eve:boot()
  bob:boot()
  eve:expect { telephony = "UnprovisionedAccess", within = "5s" }
  bob:expect { telephony = "ProvisionedAccess", within = "5s" }

  local call = eve:dial(bob.number)
  bob:answer { after = "1s" }
  outcome {
    stopped = function()
      call:expect { state = "failed", status = 403, within = "5s" }
      expect_refusals { by = "sc.enforce_restriction", at = sc1, from = eve, count = 1 }
      expect_messages { "bob hears of no call", kind = "INVITE", to = bob, count = 0 }
      sc1:expect { refused = 1, set_up = 0 }
      claim("I5 holds", invariants.broken "I5" == 0)
    end,
    succeeded = function()
      call:expect { state = "talking", within = "5s" }
      wait "5s"
      claim("I5 is broken", invariants.broken "I5" > 0)
      call:expect { from = bob, rtp_received = at_least(90) }
      call:hangup()
      both(eve, bob):expect { line = "Idle", within = "2s" }
      sc1:expect { "a toll call is on record, and its account is nobody's", records = 1, set_up = 1, within = "1s" }
    end,
  }
end)
