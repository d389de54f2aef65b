--- Loss, jitter, reordering and duplication everywhere: PKINIT over TCP and over UDP in fragments, AP exchanges, signaling and voice all
--- come through; retransmissions are never taken for attacks that succeeded, and after each call nothing of it is left.
scenario { title = "Lossy network", tags = { "calls", "loss" }, args = { loss = "10%", calls = 5, wan = "20ms" }, limit = "2h" }

local bad = { loss = args.loss, jitter = "5ms", reorder = "2%", duplicate = "1%" }
local net = topology "two_branches" {
  wan = { delay = args.wan, loss = bad.loss, jitter = bad.jitter, reorder = bad.reorder, duplicate = bad.duplicate },
  hfc = { delay = "2ms", loss = bad.loss, jitter = bad.jitter, reorder = bad.reorder, duplicate = bad.duplicate },
}
local alice = net:cta "alice" { provisioned = "215-555-0101", transport = "tcp" }
local bob = net:cta "bob" { provisioned = "610-555-0102", transport = "udp", auto_answer = "1s" }

never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }
never { "voice in clear", message = { proto = "rtp", cover = "clear" } }

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5min" }
  local talked = 0
  for _ = 1, args.calls do
    local call = alice:dial(bob.number)
    call:expect { state = one_of("talking", "failed"), within = "1min" }
    if call.state == "talking" then
      talked = talked + 1
      wait "5s"
      call:expect { rtp_received = at_least(100), rtp_lost = at_least(1), from = bob }
      call:hangup()
      call:expect { keys_destroyed = true, within = "10s" } -- once the farewell has come through
    end
    -- farewells may take their repetitions, but no longer than a transaction's time-out
    both(alice, bob):expect { line = "Idle", associations = 0, within = "90s" }
    both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, parties = 0, within = "90s" }
  end
  claim("nearly every call came about", talked >= args.calls - 1, talked .. " of " .. args.calls)
end)
