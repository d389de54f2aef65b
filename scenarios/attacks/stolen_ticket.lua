--- A ticket travels in clear in the AP-REQ. Somebody on the segment takes it out and shows it to the controller from his own address, with
--- an authenticator under a key that he made up (attack T3; patent [0072]). The controller holds authenticator and hash against the
--- ticket's session key; one that does not makes an association with a stranger, and takes him for the customer: calls no longer reach
--- her.
scenario { title = "Stolen ticket without its session key", tags = { "attack" }, attack = "T3" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1, auto_answer = "500ms" }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local mallory = net:attacker "mallory" { on = net.hfc1 }
local sc1 = net.sc1

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }
  local ap_req = mallory:capture { kind = "AP-REQ", from = alice, to = sc1 }
  local call = alice:dial(bob.number)
  call:expect { state = "talking", within = "10s" }
  call:hangup()
  ap_req:expect { ready = true, kind = "AP-REQ" }
  wait "2min" -- her line is idle, and nothing is kept of it
  sc1:expect { parties = 0 }

  local exchanges = sc1.exchanges
  local shown = mallory:present_ticket { capture = ap_req }
  outcome {
    stopped = function()
      shown:expect { fate = "refused", by = "sc.verify_authenticator", within = "2s" }
      expect_refusals { by = "sc.verify_authenticator", at = sc1, from = mallory, count = 1 }
      sc1:expect { exchanges = exchanges, parties = 0 }
      call = bob:dial(alice.number)
      call:expect { "calls reach her", state = "talking", from = alice, within = "10s" }
    end,
    succeeded = function()
      shown:expect { fate = "accepted", within = "2s" }
      sc1:expect { "an association without proof of the key", exchanges = exchanges + 1, parties = 1 }
      call = bob:dial(alice.number)
      call:expect { "calls do not reach her any more", state = "failed", within = "60s" }
      alice:expect { line = "Idle", wake_ups = 0 }
    end,
  }
end)
