--- A hang-up forged on the backbone: one controller's BYE to the other, for the call that stands. With IPsec between servers
--- nothing can be read that would make it fit, and a message in clear is refused as such; without it, it is composed of
--- what was read and ends the call, whose record says so (attack P9).
scenario { title = "Forged BYE between controllers", tags = { "attack" }, attack = "P9" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2 }
local backbone, sc1, sc2 = net.backbone, net.sc1, net.sc2
local mallory = net:attacker "mallory" {
  on = backbone, routes = { ["10.101.0.0/16"] = "10.0.0.1", ["10.102.0.0/16"] = "10.0.0.2" },
}

run(function()
  local ear = mallory:listen {}
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }

  local call = alice:dial(bob.number)
  bob:answer { after = "1s" }
  call:expect { state = "talking", within = "5s" }
  wait "3s"
  sc1:expect { records = 0 }

  local bye = mallory:forge_bye { from = sc1, to = sc2, ear = ear }
  outcome {
    stopped = function()
      bye:expect { fate = "refused", by = "backend.ipsec", within = "1s" }
      call:stays { state = "talking", during = "3s" }
      call:expect { rtp_lost = 0 }
      both(sc1, sc2):expect { calls = 1 }
      sc1:expect { records = 0 }
      call:hangup()
      both(alice, bob):expect { line = "Idle", within = "2s" }
      sc1:expect { "the record ends with the call", records = 1, within = "1s" }
      call:expect { reason = "hung up" }
    end,
    succeeded = function()
      bye:expect { fate = "accepted", within = "1s" }
      sc1:expect { "the record's end is now, and nobody has hung up", records = 1, within = "1s" }
      both(alice, bob):expect { line = "Idle", within = "2s" }
      call:expect { "the call is cut", state = "over", reason = is_not("hung up"), talk_time = between("3s", "4s") }
      both(sc1, sc2):expect { calls = 0, within = "1min" }
    end,
  }
end)
