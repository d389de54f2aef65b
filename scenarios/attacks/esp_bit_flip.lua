--- Bits of ESP packets are changed on the wire. With a changed IV the first block decrypts to a changed text, the rest as it was: here
--- one bit of the UDP source port and the same bit of the UDP checksum, so that for every second packet the checksum fits again.
--- HMAC-SHA-1-96 stops it at the first; without it a changed text is delivered (attack E2; Bellovin 1996; Paterson, Yau 2006).
scenario { title = "ESP bit flip", tags = { "attack" }, attack = "E2" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101" }
local bob = net:cta "bob" { provisioned = "610-555-0102" }
local hfc1, sc1 = net.hfc1, net.sc1
local mallory = net:attacker "mallory" { on = hfc1 }

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }

  -- what the checksum stops comes again (RFC 3261, timer A), with the same text: another bit may do
  local altered, tries
  local function flip(bit)
    altered = mallory:alter { kind = "ESP", from = alice, to = sc1, flip = "iv+1,iv+7", mask = 1 << bit }
  end
  flip(0)
  local call = alice:dial(bob.number)
  bob:answer { after = "1s" }
  for bit = 1, 8 do
    altered:expect { "a packet passed changed", ready = true, fate = one_of("accepted", "refused"), within = "10s" }
    tries = bit
    if altered.by ~= "udp.checksum" or bit == 8 then break end
    flip(bit)
  end

  outcome {
    stopped = function()
      altered:expect { fate = "refused", by = "esp.auth" }
      claim("at the first try", tries == 1, tries)
      expect_messages { "no changed text is delivered", kind = "ESP", actor = mallory, fate = "accepted", count = 0 }
      call:expect { state = "talking", within = "5s" }
    end,
    succeeded = function()
      altered:expect { fate = "accepted" }
      expect_messages { "a changed text is delivered", kind = "ESP", actor = mallory, to = sc1, fate = "accepted", count = 1 }
    end,
  }
end)
