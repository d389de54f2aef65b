--- Loss of 1 % and of 10 %, jitter, reordering and duplication everywhere: PKINIT over TCP and over UDP in fragments, AP exchanges, signaling
--- and voice all come through; retransmissions are never taken for attacks that succeeded, and after each call nothing of it is left.
scenario { title = "Lossy network", tags = { "calls", "loss" }, args = { calls = 4, wan = "20ms" }, limit = "2h" }

local net = topology "two_branches" { wan = { delay = args.wan } }
local links = { net.backbone, net.hfc1, net.hfc2 }
local alice = net:cta "alice" { provisioned = "215-555-0101", transport = "tcp" }
local bob = net:cta "bob" { provisioned = "610-555-0102", transport = "udp", auto_answer = "1s" }

never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }
never { "voice in clear", message = { proto = "rtp", cover = "clear" } }

-- farewells may take their repetitions, but no longer than a transaction's time-out
local function quiet()
  both(alice, bob):expect { line = "Idle", associations = 0, within = "90s" }
  both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, parties = 0, within = "90s" }
end

local function calls(loss)
  local talked = 0
  for _ = 1, args.calls do
    local call = alice:dial(bob.number)
    call:expect { state = one_of("talking", "failed"), within = "1min" }
    if call.state == "talking" then
      talked = talked + 1
      wait "5s"
      call:expect { rtp_received = at_least(100), from = bob }
      call:hangup()
      call:expect { keys_destroyed = true, within = "10s" } -- once the farewell has come through
    end
    quiet()
  end
  claim("with " .. loss .. " nearly every call comes about", talked >= args.calls - 1, talked .. " of " .. args.calls)
end

run(function()
  for nth, loss in ipairs { "1%", "10%" } do
    for _, link in ipairs(links) do
      link:set { loss = loss, jitter = "5ms", reorder = "2%", reorder_by = "30ms", duplicate = "1%" }
    end
    if nth == 1 then
      alice:boot()
      bob:boot()
    else
      alice:restart()
      bob:restart()
    end
    both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5min" }
    calls(loss)
  end
end)
