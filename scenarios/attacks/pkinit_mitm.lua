--- A man in the middle of RSA-mode PKINIT: a customer signs the victim's request in his own name, opens the KDC's answer, and seals the
--- KDC's unchanged signature to the victim; then he puts his name into the victim's AP-REQ (attack K1; Cervesato, Jaggard, Scedrov,
--- Tsay, Walstad 2006). The checksum over the request in RFC 4556's reply stops it; with the draft's nonce he reads the
--- victim's signaling and voice, and pays for - or answers for - what the victim does.
scenario { title = "Man in the middle of PKINIT", tags = { "attack" }, attack = "K1", args = { talk = "5s" } }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101" }
local bob = net:cta "bob" { provisioned = "610-555-0102" }
local hfc1, sc1, kdc = net.hfc1, net.sc1, net.kdc1
local mallory = net:attacker "mallory" { on = hfc1, provisioned = "215-555-0199", controller = sc1 }

run(function()
  bob:boot()
  bob:expect { telephony = "ProvisionedAccess", within = "5s" }
  local mitm = mallory:mitm { victim = alice, kdc = kdc }
  alice:boot()

  outcome {
    stopped = function()
      mitm:expect { fate = "refused", by = "pkinit.bind", within = "10s" }
      expect_messages { "no AP-REQ of the victim in his name", kind = "AP-REQ", actor = mallory, count = 0 }
      -- once he lets go, alice gets her ticket from the KDC
      mallory:release()
      alice:expect { telephony = "ProvisionedAccess", within = "2min" }
    end,
    succeeded = function()
      mitm:expect { session_key = true, fate = "accepted", within = "10s" }
      alice:expect { telephony = "ProvisionedAccess", within = "5s" }
      local call = alice:dial(bob.number)
      bob:answer { after = "1s" }
      call:expect { state = "talking", within = "5s" }
      wait(args.talk)
      mitm:expect { "he has the sub-key of the victim's association", subkey = true }
      mitm:expect { "the ticket names him", ticket_name = mallory.principal }
      mitm:expect { "he has read whom the victim called", dialled = "6105550102", read = at_least(3) }
      claim("the call is his by what the callee is told", bob.call.peer == mallory.number, bob.call.peer)
      mitm:expect { "he hears both", rtp_opened = at_least(2 * (ns(args.talk) // 20000000) - 20) }
      call:hangup()
      alice:expect { line = "Idle", within = "2s" }
      sc1:expect { records = 1, within = "2s" }
    end,
  }
end)
