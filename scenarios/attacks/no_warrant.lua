--- A law enforcement agency asks for the key of a call for which it has no warrant (attack S8; patent [0099]). The source controller
--- releases a key only on a court's order that is in force; one that does not look gives the call away to whoever asks as an agency.
scenario { title = "Intercept without a warrant", tags = { "attack", "intercept" }, attack = "S8" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "1s" }
local lea = net:law_enforcement "lea" { on = { net.lan4, "10.104.0.40/24" }, gateway = "10.104.0.1", kdc = net.kdc1, tap = net.backbone }

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }
  net.sc1:warrant { number = "215-555-0999", to = lea } -- somebody else's
  local call = alice:dial(bob.number)
  call:expect { state = "talking", within = "10s" }
  wait "3s"
  lea:expect { recorded = at_least(250) }

  local release = lea:request { number = alice.number, from = net.sc1 }
  outcome {
    stopped = function()
      release:expect { ready = true, granted = false, by = "intercept.authorise", within = "5s" }
      expect_refusals { by = "intercept.authorise", at = net.sc1, count = 1 }
      net.sc1:expect { keys_released = 0 }
      lea:expect { keys = 0 }
    end,
    succeeded = function()
      release:expect { granted = true, call = call.id, within = "5s" }
      release:expect { "all that was said is open", packets = at_least(250), decrypted = release.packets }
      net.sc1:expect { keys_released = 1 }
    end,
  }
end)
