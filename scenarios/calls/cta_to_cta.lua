--- Two provisioned CTAs hold an encrypted ten-second call through two signaling controllers (FIGS. 3 and 4).
scenario { title = "CTA to CTA call", tags = { "smoke", "fig4" },
  args = { wan = "10ms", codec = "PCMU", talk = "10s", kdc = "distinct", pkinit = "rsa", transport = "tcp",
           rsa_part = "built-in" } }

local net = topology "two_branches" { wan = { delay = args.wan }, kdc = args.kdc }
local function provisioned(number)
  return { provisioned = number, codec = args.codec, pkinit = args.pkinit, transport = args.transport, rsa_part = args.rsa_part }
end
local alice, bob = net:cta "alice" (provisioned "215-555-0101"), net:cta "bob" (provisioned "610-555-0102")

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }

  local call = alice:dial(bob.number)
  bob:answer { after = "2s" }
  call:expect { state = "talking", within = "8s" }
  wait(args.talk)
  call:expect { rtp_received = at_least(ns(args.talk) // 20000000 - 10), from = bob, rtp_lost = 0, rtp_refused = 0 }

  call:hangup()
  call:expect { keys_destroyed = true, within = time(ns "1s" + 2 * ns(args.wan)) }
  both(alice, bob):expect { line = "Idle", associations = 0, within = "2s" }
  both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, parties = 0, within = "2s" }
  net.sc1:expect { records = 1, within = "1s" }
end)
