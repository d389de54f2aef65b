--- A listener on the backbone. With IPsec between servers it reads nothing; without it, it reads who calls whom, takes the
--- call's sub-key out of the offer from one controller to the other, and opens the voice that crosses the backbone
--- (attack P9's wire; flows.md 13).
scenario { title = "Ears on the backbone", tags = { "attack" }, attack = "P9", args = { talk = "5s" } }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2 }
local backbone, sc1, sc2 = net.backbone, net.sc1, net.sc2
local mallory = net:attacker "mallory" { on = backbone }

run(function()
  local ear = mallory:listen {}
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }

  local call = alice:dial(bob.number)
  bob:answer { after = "1s" }
  call:expect { state = "talking", within = "5s" }
  wait(args.talk)
  claim("the voice passed her", mallory.seen >= 2 * (ns(args.talk) // 20000000) - 20, mallory.seen)

  local function hang_up()
    call:hangup()
    both(alice, bob):expect { line = "Idle", within = "2s" }
    both(sc1, sc2):expect { calls = 0, call_keys = 0, within = "2s" }
  end
  outcome {
    stopped = function()
      expect_messages { "the offer was under ESP", kind = "INVITE", from = sc1, to = sc2, cover = "esp",
                        fate = "accepted", count = 1 }
      hang_up()
      call:expect { "nobody else has the key", keys_destroyed = true, within = "2s" }
      ear:expect { "she has read nothing", sip_read = 0, keys = 0, rtp_opened = 0, caller = absent, dialled = absent }
    end,
    succeeded = function()
      expect_messages { "the offer was in clear", kind = "INVITE", from = sc1, to = sc2, cover = "clear",
                        fate = "accepted", count = 1 }
      ear:expect { "she knows who calls whom", sip_read = at_least(3), caller = "2155550101", dialled = "6105550102" }
      ear:expect { "she has the key and hears both", keys = 1, rtp_opened = at_least(2 * (ns(args.talk) // 20000000) - 20) }
      hang_up()
      call:expect { "her key outlives the call", keys_destroyed = false }
      ear:stop()
      call:expect { keys_destroyed = true, within = "2s" }
    end,
  }
end)
