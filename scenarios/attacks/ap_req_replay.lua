--- A recorded AP-REQ is sent to the signaling controller again. Its replay cache refuses it; without one it is answered like the
--- first: a second AP-REP, and another sub-key in the place of the live association's (attack T1).
scenario { title = "AP-REQ replay", tags = { "attack" }, attack = "T1" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101" }
local bob = net:cta "bob" { provisioned = "610-555-0102" }
local hfc1, sc1 = net.hfc1, net.sc1
local mallory = net:attacker "mallory" { on = hfc1 }

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }

  local ap_req = mallory:capture { kind = "AP-REQ", from = alice, to = sc1 }
  local call = alice:dial(bob.number)
  bob:answer { after = "1s" }
  call:expect { state = "talking", within = "5s" }
  ap_req:expect { ready = true, kind = "AP-REQ" }
  local replies = { kind = "AP-REP", from = sc1, to = alice }
  claim("there was one AP-REP", messages(replies) == 1, messages(replies))

  local replay = mallory:send(ap_req)
  outcome {
    stopped = function()
      replay:expect { fate = "refused", by = "sc.replay_cache", within = "1s" }
      expect_messages { "no second AP-REP", kind = "AP-REP", from = sc1, to = alice, count = 1 }
      wait "2s"
      call:expect { state = "talking", rtp_lost = 0 }
      call:hangup()
      both(alice, bob):expect { line = "Idle", within = "2s" }
    end,
    succeeded = function()
      replay:expect { fate = "accepted", within = "1s" }
      expect_messages { "a second AP-REP", kind = "AP-REP", from = sc1, to = alice, count = 2, within = "1s" }
      -- the controller now seals with keys that alice never saw
      call:hangup()
      expect_refusals { "the live association is gone", by = { "esp.auth", "esp.replay_window", "esp.unknown_spi" },
                        at = { alice, sc1 }, count = at_least(1), within = "5s" }
    end,
  }
end)
