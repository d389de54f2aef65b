--- A hang-up forged on the HFC segment: the caller's BYE to its signaling controller. Under ESP its dialog cannot be read,
--- and one in clear is refused; with signaling in clear it is composed of what was read and ends the call: the billed time
--- is cut (attack E8). The sub-key of the call stays out of reach: it is wrapped for the association.
scenario { title = "Forged BYE of a CTA", tags = { "attack" }, attack = "E8" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2 }
local hfc1, sc1, sc2 = net.hfc1, net.sc1, net.sc2
local mallory = net:attacker "mallory" { on = hfc1, gateway = "10.1.0.1" }

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

  local bye = mallory:forge_bye { from = alice, to = sc1, ear = ear }
  outcome {
    stopped = function()
      bye:expect { fate = "refused", by = "signaling.esp", within = "1s" }
      call:stays { state = "talking", during = "3s" }
      call:expect { rtp_lost = 0 }
      sc1:expect { records = 0, calls = 1 }
      ear:expect { "she has read nothing", sip_read = 0, keys = 0 }
      call:hangup()
      both(alice, bob):expect { line = "Idle", within = "2s" }
      sc1:expect { "the record ends with the call", records = 1, within = "1s" }
    end,
    succeeded = function()
      bye:expect { fate = "accepted", within = "1s" }
      sc1:expect { "the record's end is now, and nobody has hung up", records = 1, within = "1s" }
      both(alice, bob):expect { line = "Idle", within = "2s" }
      call:expect { "the call is cut", state = "over", reason = is_not("hung up"), talk_time = between("3s", "4s") }
      ear:expect { "she knows whom alice called", dialled = "6105550102", sip_read = at_least(5) }
      ear:expect { "the key was not to be had", keys = 0, rtp_opened = 0 }
      both(sc1, sc2):expect { calls = 0, within = "1min" }
    end,
  }
end)
