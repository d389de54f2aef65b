--- Lawful intercept in both forms: released keys decrypt the recorded voice, and nothing is released without authorisation.
--- Alice's controller keeps the sub-keys of its calls; Bob's seals them and parks them at the other controller of the call.
scenario { title = "Lawful intercept", tags = { "fig4", "intercept" }, args = { wan = "10ms" } }

local net = topology "two_branches" { wan = { delay = args.wan }, escrow = { sc1 = "kept", sc2 = "cookie" } }
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2 }
local operator, kdc, backbone, lan = net.lan4, net.kdc1, net.backbone, net.lan1
local lea = net:law_enforcement "lea" {
  on = { operator, "10.104.0.30/24" }, gateway = "10.104.0.1", kdc = kdc, tap = backbone,
}
local other = net:law_enforcement "other" {
  on = { operator, "10.104.0.31/24" }, gateway = "10.104.0.1", kdc = kdc, tap = lan,
}

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "keys or cookies in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }

local function talk(from, to)
  local call = from:dial(to.number)
  to:answer { after = "1s" }
  call:expect { state = "talking", within = "4s" }
  return call
end

local function refused(agency, controller, number, by)
  local request = agency:request { number = number, from = controller }
  request:expect { ready = true, granted = false, by = by, within = "5s" }
  request:expect { packets = 0, decrypted = 0 }
  agency:expect { keys = 0 }
end

-- Everything that the link carried of the call until now, and what comes from now on, in both directions.
local function opened(controller, number)
  local release = lea:request { number = number, from = controller }
  release:expect { granted = true, by = "", within = "5s" }
  release:expect { packets = at_least(250), to_callee = at_least(125), to_caller = at_least(125) }
  wait "2s"
  release:expect { packets = at_least(440), decrypted = release.packets }
  return release
end

-- The agency's handle counts as a holder: everybody else has forgotten the key, and it dies when the agency forgets it.
local function over(call, release)
  call:hangup()
  both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, within = "2s" }
  wait "5s"
  call:expect { keys_destroyed = false }
  release:forget()
  call:expect { keys_destroyed = true }
  release:expect { decrypted = release.packets }
end

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }

  -- Kept: no warrant, a warrant for another number, another's warrant.
  local call = talk(alice, bob)
  wait "3s"
  net.sc1:expect { call_keys = 1 }
  refused(lea, net.sc1, alice.number, "intercept.authorise")
  net.sc1:warrant { number = "215-555-0999", to = lea }
  refused(lea, net.sc1, alice.number, "intercept.authorise")
  refused(lea, net.sc1, "215-555-0999", "intercept.no_call")
  net.sc1:warrant { number = alice.number, to = lea }
  refused(other, net.sc1, alice.number, "intercept.authorise")
  lea:expect { recorded = at_least(250) }
  net.sc1:expect { keys_released = 0 }
  local release = opened(net.sc1, alice.number)
  release:expect { call = call.id }
  net.sc1:expect { keys_released = 1 }

  -- A court's order ends, or is taken back.
  net.sc1:revoke(alice.number)
  refused(other, net.sc1, alice.number, "intercept.authorise")
  local again = lea:request { number = alice.number, from = net.sc1 }
  again:expect { granted = false, by = "intercept.authorise", within = "5s" }
  net.sc1:warrant { number = alice.number, to = lea, lasts = "1s" }
  wait "1s"
  again = lea:request { number = alice.number, from = net.sc1 }
  again:expect { granted = false, by = "intercept.authorise", within = "5s" }
  net.sc1:expect { keys_released = 1 }
  over(call, release)
  net.sc1:warrant { number = alice.number, to = lea }
  refused(lea, net.sc1, alice.number, "intercept.no_call")

  -- Cookie: the source controller holds no sub-key while the call is up, and has it back for one moment.
  call = talk(bob, alice)
  net.sc2:expect { calls = 1, call_keys = 0, within = "1s" }
  net.sc1:expect { call_keys = 0 }
  wait "3s"
  refused(lea, net.sc2, bob.number, "intercept.authorise")
  net.sc2:expect { keys_released = 0 }

  -- The cookie's holder has nothing that it could give, whatever warrant is shown to it.
  net.sc1:warrant { number = bob.number, to = lea }
  refused(lea, net.sc1, bob.number, "intercept.no_call")
  net.sc1:expect { keys_released = 1 }

  net.sc2:warrant { number = bob.number, to = lea }
  release = opened(net.sc2, bob.number)
  release:expect { call = call.id }
  net.sc2:expect { keys_released = 1, calls = 1, call_keys = 0 }
  over(call, release)
  refused(lea, net.sc2, bob.number, "intercept.no_call")
  both(lea, other):expect { keys = 0 }
end)
