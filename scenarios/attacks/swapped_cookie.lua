--- The controller where another has parked the sealed sub-keys of two calls has been broken into, and gives back one for the other
--- (attack S4; patent [0100]). Each is sealed under a key of its call alone, so that the wrong one does not open; where one key seals
--- them all, a warrant for one call yields the key of another.
scenario { title = "Swapped cookie", tags = { "attack", "intercept" }, attack = "S4" }

local net = topology "two_branches" { escrow = { sc1 = "cookie", sc2 = "kept" } }
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local adam = net:cta "adam" { provisioned = "215-555-0103", branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "1s" }
local beth = net:cta "beth" { provisioned = "610-555-0104", branch = 2, auto_answer = "1s" }
local lea = net:law_enforcement "lea" { on = { net.lan4, "10.104.0.40/24" }, gateway = "10.104.0.1", kdc = net.kdc1, tap = net.backbone }

run(function()
  for _, cta in ipairs { alice, adam, bob, beth } do
    cta:boot()
    cta:expect { telephony = "ProvisionedAccess", within = "5s" }
  end
  net.sc1:warrant { number = alice.number, to = lea } -- and nobody has one for Adam
  local wanted, other = alice:dial(bob.number), adam:dial(beth.number)
  wanted:expect { state = "talking", within = "10s" }
  other:expect { state = "talking", within = "10s" }
  net.sc1:expect { "both sub-keys are parked", call_keys = 0, within = "2s" }
  wait "3s"

  net.sc2:swap_cookies { call = wanted.id, with = other.id }
  local release = lea:request { number = alice.number, from = net.sc1 }
  local function hang_up()
    wanted:hangup()
    other:hangup()
    both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, within = "2s" }
    wait "5s"
  end
  outcome {
    stopped = function()
      release:expect { ready = true, granted = false, by = "cookie.integrity", within = "10s" }
      expect_refusals { by = "cookie.integrity", at = net.sc1, from = net.sc2, count = 1 }
      net.sc1:expect { keys_released = 0 }
      lea:expect { keys = 0 }
      hang_up()
      wanted:expect { keys_destroyed = true }
      other:expect { keys_destroyed = true }
    end,
    succeeded = function()
      release:expect { granted = true, call = wanted.id, within = "10s" }
      release:expect { "it opens nothing of the call that it is for", packets = at_least(100), decrypted = 0 }
      hang_up()
      wanted:expect { "the wanted call's key is nobody's any more", keys_destroyed = true }
      other:expect { "the other's is with the agency", keys_destroyed = false }
      release:forget()
      other:expect { keys_destroyed = true }
    end,
  }
end)
