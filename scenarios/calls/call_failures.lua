--- Calls that do not come about, and calls that end badly: busy, no answer, unknown number, unreachable, declined, hung up early, hung up by
--- both at once, a controller or a CTA restarted in mid-call. After each nobody holds a key of it, and the next call works.
scenario { title = "Call failures", tags = { "calls" }, args = { wan = "10ms" }, limit = "2h" }

local net = topology "two_branches" { wan = { delay = args.wan } }
local alice = net:cta "alice" { provisioned = "215-555-0101", ring_timeout = "20s" }
local bob = net:cta "bob" { provisioned = "610-555-0102" }
local carol = net:cta "carol" { provisioned = "215-555-0103" } -- on alice's segment
local dave = net:cta "dave" { provisioned = "610-555-0104" }   -- never switched on

never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }

-- Everything of a call is gone: at the CTAs, at the controllers.
local function quiet(within)
  all { alice, bob, carol }:expect { line = "Idle", associations = 0, within = within }
  both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, parties = 0, within = within }
end

local function works()
  local call = alice:dial(bob.number)
  bob:answer { after = "1s" }
  call:expect { state = "talking", within = "5s" }
  wait "1s"
  call:expect { rtp_received = at_least(40), rtp_refused = 0 }
  call:hangup()
  call:expect { keys_destroyed = true, within = "1s" }
  quiet "3s"
end

run(function()
  alice:boot()
  bob:boot()
  carol:boot()
  all { alice, bob, carol }:expect { telephony = "ProvisionedAccess", within = "5s" }

  -- unknown number
  local call = alice:dial "999-555-0000"
  call:expect { state = "failed", status = 404, within = "3s" }
  quiet "3s"

  -- a CTA without power cannot be woken
  call = alice:dial(dave.number)
  call:expect { state = "failed", status = 480, within = "30s" }
  quiet "3s"

  -- no answer
  call = alice:dial(bob.number)
  call:expect { state = "ringing", within = "3s" }
  call:expect { state = "failed", reason = "no answer", within = "25s" }
  call:expect { keys_destroyed = true, within = "1s" }
  quiet "3s"

  -- declined
  call = alice:dial(bob.number)
  bob:expect { line = "Ringing", within = "3s" }
  bob:hangup()
  call:expect { state = "failed", within = "1s" }
  call:expect { keys_destroyed = true, within = "1s" }
  quiet "3s"

  -- the caller hangs up while it rings, and before it rings
  call = alice:dial(bob.number)
  bob:expect { line = "Ringing", within = "3s" }
  call:hangup()
  bob:expect { line = "Idle", within = "1s" }
  call:expect { keys_destroyed = true, within = "1s" }
  quiet "3s"
  call = alice:dial(bob.number)
  alice:expect { line = "Calling", within = "3s" }
  call:hangup()
  quiet "65s" -- bob was woken for nothing; an association that no call takes up is given up after a minute

  works()

  -- busy: bob talks with alice, and carol calls him; then alice, herself in a call, is called by carol within her own segment
  bob:answer { after = "0s" }
  call = alice:dial(bob.number)
  call:expect { state = "talking", within = "5s" }
  local other = carol:dial(bob.number)
  other:expect { state = "failed", status = 486, within = "3s" }
  other = carol:dial(alice.number)
  other:expect { state = "failed", status = 486, within = "3s" }
  call:expect { state = "talking" }

  -- both hang up at once
  call:hangup()
  bob:hangup()
  call:expect { state = "over", keys_destroyed = true, within = "1s" }
  quiet "3s"

  -- a call within one segment: one controller, both ends
  carol:answer { after = "1s" }
  call = alice:dial(carol.number)
  call:expect { state = "talking", within = "5s" }
  wait "1s"
  call:expect { rtp_received = at_least(40), from = carol }
  call:hangup()
  call:expect { keys_destroyed = true, within = "1s" }
  quiet "3s"

  -- the source controller restarts in mid-call: the voice goes on, the call ends between the CTAs
  call = alice:dial(bob.number)
  call:expect { state = "talking", within = "5s" }
  net.sc1:restart()
  wait "2s"
  call:expect { state = "talking", rtp_received = at_least(90) }
  call:hangup()
  call:expect { keys_destroyed = true, within = "1s" }
  bob:expect { line = "Idle" }
  works()
  quiet "1min"

  -- the same with the destination controller
  bob:answer { after = "0s" }
  call = alice:dial(bob.number)
  call:expect { state = "talking", within = "5s" }
  net.sc2:restart()
  wait "1s"
  bob:hangup()
  call:expect { state = "over", keys_destroyed = true, within = "1s" }
  works()
  quiet "1min"

  -- the called CTA loses power in mid-call: its voice stops, and the caller hangs up
  bob:answer { after = "0s" }
  call = alice:dial(bob.number)
  call:expect { state = "talking", within = "5s" }
  bob:restart()
  call:expect { state = "over", reason = "voice lost", within = "8s" }
  call:expect { keys_destroyed = true, within = "1s" }
  bob:expect { telephony = "ProvisionedAccess", within = "5s" }
  works()
  quiet "1min"

  -- and the calling one
  bob:answer { after = "0s" }
  call = alice:dial(bob.number)
  call:expect { state = "talking", within = "5s" }
  alice:restart()
  call:expect { state = "over", reason = "power lost" }
  bob:expect { line = "Idle", within = "8s" }
  alice:expect { telephony = "ProvisionedAccess", within = "5s" }
  works()
  quiet "1min"
end)
