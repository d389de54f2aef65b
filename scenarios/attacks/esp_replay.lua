--- An ESP packet of a call's signaling is sent to the signaling controller again, byte for byte. The replay window refuses it; without
--- one it is decrypted, and its message delivered, a second time (attack E1).
scenario { title = "ESP replay", tags = { "attack" }, attack = "E1" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101" }
local bob = net:cta "bob" { provisioned = "610-555-0102" }
local hfc1, sc1 = net.hfc1, net.sc1
local mallory = net:attacker "mallory" { on = hfc1 }

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }

  local invite = mallory:capture { kind = "ESP", from = alice, to = sc1 }
  local call = alice:dial(bob.number)
  bob:answer { after = "1s" }
  call:expect { state = "talking", within = "5s" }
  invite:expect { ready = true, kind = "ESP" }
  expect_messages { "the packet was delivered once", kind = "INVITE", from = alice, to = sc1, cover = "esp", fate = "accepted",
                    count = 1 }

  local replay = mallory:send(invite)
  outcome {
    stopped = function()
      replay:expect { fate = "refused", by = "esp.replay_window", within = "1s" }
      expect_messages { "nothing is delivered twice", kind = "ESP", actor = mallory, fate = "accepted", count = 0 }
    end,
    succeeded = function()
      replay:expect { fate = "accepted", within = "1s" }
      expect_messages { "one packet is delivered twice", kind = "ESP", actor = mallory, to = sc1, fate = "accepted", count = 1 }
    end,
  }
  call:hangup()
  both(alice, bob):expect { line = "Idle", within = "2s" }
end)
