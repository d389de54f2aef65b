--- Many calls side by side between two segments: every one comes about, is heard, and leaves nothing behind.
scenario {
  title = "A thousand calls", tags = { "scale" }, args = { calls = 1000, talk = "2s", every = "10ms" }, messages = false, limit = "1h",
}

local net = topology "two_branches" {}
local callers, callees = {}, {}
for i = 1, args.calls do
  local last = string.format("%03d-%04d", 500 + i // 10000, i % 10000)
  callers[i] = net:cta("a" .. i) { provisioned = "215-" .. last, branch = 1 }
  callees[i] = net:cta("b" .. i) { provisioned = "610-" .. last, branch = 2, auto_answer = "100ms" }
end

local function call(i)
  wait(time((i - 1) * ns(args.every)))
  local call = callers[i]:dial(callees[i].number)
  call:expect { state = "talking", within = "10s" }
  wait(args.talk)
  call:expect { rtp_received = at_least(ns(args.talk) // 20000000 - 10), rtp_lost = 0, rtp_refused = 0 }
  call:hangup()
  call:expect { keys_destroyed = true, within = "1s" }
end

run(function()
  for i = 1, args.calls do
    callers[i]:boot()
    callees[i]:boot()
    wait(args.every)
  end
  for i = 1, args.calls do
    callers[i]:expect { telephony = "ProvisionedAccess", within = "10s" }
    callees[i]:expect { telephony = "ProvisionedAccess", within = "10s" }
  end
  local bodies = {}
  for i = 1, args.calls do
    bodies[i] = function() call(i) end
  end
  parallel(table.unpack(bodies))
  net.sc1:expect { calls = 0, call_keys = 0, parties = 0, records = args.calls, within = "3s" }
  net.sc2:expect { calls = 0, call_keys = 0, parties = 0, within = "3s" }
end)
