--- A CTA calls a network server: the sub-key goes to the server first, its ACK back, then to the CTA, which now has two
--- associations (patent [0081]-[0087]). The announcement ends; the caller hangs up early; server, caller, controller are
--- restarted in mid-call; all lines are busy.
scenario { title = "CTA to network server", tags = { "calls", "fig4" }, args = { wan = "10ms", codec = "PCMU" } }

local net = topology "two_branches" { wan = { delay = args.wan } }
local announce = net.announce -- 800-555-0100, hangs up after 10 s
local weather = net:network_server "weather" {
  on = { net.lan4, "10.104.0.21/24" }, gateway = "10.104.0.1", kdc = net.kdc1, number = "800-555-0122", lines = 1,
  announcement = "0s",
}
local alice = net:cta "alice" { provisioned = "215-555-0101", codec = args.codec }
local bob = net:cta "bob" { provisioned = "610-555-0102" }

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }
never { "a key nobody can open", message = { fate = "refused", by = "subkey.unwrap" } }

-- Nothing is left of a call but the servers' associations among themselves.
local function quiet(within)
  both(alice, bob):expect { line = "Idle", associations = 0, within = within }
  both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, parties = 0, within = within }
  both(announce, weather):expect { calls = 0, call_keys = 0, within = within }
end

-- To its end.
local function listen()
  local call = alice:dial "800-555-0100"
  announce:expect { calls = 1, call_keys = 1, within = "4s" } -- before the caller, whose 200 is still under way
  alice:expect { line = "Calling", associations = 1 }
  call:expect { state = "talking", within = "2s" }
  alice:expect { associations = 2 } -- with its controller and with the server
  wait "9s"
  call:expect { state = "talking", rtp_received = at_least(430), from = announce, rtp_lost = 0, rtp_refused = 0 }
  call:expect { state = "over", reason = "other end hung up", within = "2s" }
  call:expect { keys_destroyed = true, within = "1s" }
  claim("ten seconds of announcement", call.talk_time > ns "9900ms" and call.talk_time < ns "10100ms")
  return call
end

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }

  -- The server's turn to hang up.
  listen()
  announce:expect { answered = 1, refused = 0, rtp_received = at_least(480), rtp_lost = 0, rtp_refused = 0 }
  quiet "2s"
  announce:expect { associations = 1 } -- with sc1
  net.sc1:expect { records = 1 }

  -- The caller hangs up early.
  local call = alice:dial "800-555-0100"
  call:expect { state = "talking", within = "2s" }
  wait "3s"
  call:expect { rtp_received = at_least(140) }
  call:hangup()
  call:expect { state = "over", keys_destroyed = true, within = "1s" }
  quiet "2s"

  -- Earlier still: before the sub-key has come to it; the CANCEL and the server's answer cross.
  call = alice:dial "800-555-0100"
  alice:expect { line = "Calling", within = "1s" }
  wait "2ms"
  alice:hangup()
  quiet "5s"
  announce:expect { answered = 2 }

  -- Restarted in mid-call: the voice stops, the caller notices, nobody keeps a key.
  call = alice:dial "800-555-0100"
  call:expect { state = "talking", within = "2s" }
  wait "2s"
  announce:restart()
  announce:expect { calls = 0, call_keys = 0, associations = 0 }
  call:expect { state = "over", reason = "voice lost", within = "6s" }
  call:expect { keys_destroyed = true, within = "1s" }
  quiet "40s"
  listen()
  quiet "2s"

  -- The caller loses power: the server hears nothing any more and hangs up.
  call = alice:dial "800-555-0100"
  call:expect { state = "talking", within = "2s" }
  alice:restart()
  announce:expect { calls = 0, within = "6s" }
  call:expect { keys_destroyed = true, within = "1s" }
  alice:expect { telephony = "ProvisionedAccess", within = "5s" }
  quiet "70s" -- it keyed anew when its controller's farewell came under an unknown SPI, and gives that up in a minute

  -- Its controller loses the call: it goes on to its end without one.
  call = alice:dial "800-555-0100"
  call:expect { state = "talking", within = "2s" }
  wait "3s"
  net.sc1:restart()
  wait "3s"
  call:expect { state = "talking" }
  call:expect { state = "over", reason = "other end hung up", within = "5s" }
  call:expect { keys_destroyed = true, within = "1s" }
  announce:expect { calls = 0, call_keys = 0 }
  quiet "40s"

  -- All lines busy.
  call = alice:dial "800-555-0122"
  call:expect { state = "talking", within = "2s" }
  local busy = bob:dial "800-555-0122"
  busy:expect { state = "failed", status = 486, within = "2s" }
  weather:expect { calls = 1, refused = 1 }
  wait "30s"
  call:expect { state = "talking", rtp_received = at_least(1490), from = weather } -- until the caller hangs up
  call:hangup()
  call:expect { keys_destroyed = true, within = "1s" }
  busy = bob:dial "800-555-0122"
  busy:expect { state = "talking", within = "2s" }
  wait "1s"
  busy:expect { rtp_received = at_least(45), from = weather }
  busy:hangup()
  busy:expect { keys_destroyed = true, within = "1s" }
  quiet "2s"
  weather:expect { answered = 2, refused = 1, associations = 2 } -- with sc1 and sc2
end)
