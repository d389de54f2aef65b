--- Whatever restarts, at whatever moment of a call's set-up or tear-down: within 90 seconds lines are idle, nobody holds a key of the call, the
--- controllers know of no call and no CTA, there is at most one record of it, and the next call works.
scenario {
  title = "A restart at every step", tags = { "calls", "faults" },
  args = { wan = "10ms", first = 0, last = 300, step = 5, who = "all" }, limit = "1000h",
}

local net = topology "two_branches" { wan = { delay = args.wan } }
local alice = net:cta "alice" { provisioned = "215-555-0101", ring_timeout = "20s" }
local bob = net:cta "bob" { provisioned = "610-555-0102", auto_answer = "100ms" }
local ctas = { alice, bob }
local controllers = { net.sc1, net.sc2 }

never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }

local function quiet()
  all(ctas):expect { line = "Idle", associations = 0, telephony = "ProvisionedAccess", within = "90s" }
  all(controllers):expect { calls = 0, call_keys = 0, parties = 0, within = "90s" }
end

local function records()
  return net.sc1.records + net.sc2.records
end

-- What was in the way of one call is not in the way of the next, which begins as soon as the lines are free.
local function works(what)
  local before = records()
  local call = alice:dial(bob.number)
  call:expect { what, state = "talking", within = "10s" }
  wait "300ms"
  call:expect { what, rtp_received = at_least(5), rtp_refused = 0, from = bob }
  call:hangup()
  call:expect { what, state = "over", keys_destroyed = true, within = "2s" }
  quiet()
  claim(what .. ": one record of the next call", records() == before + 1, records() - before)
end

local function check(what, call, before)
  all(ctas):expect { what, line = "Idle", telephony = "ProvisionedAccess", within = "90s" }
  if call.keys_destroyed ~= nil then
    call:expect { what, keys_destroyed = true, within = "90s" }
  end
  quiet()
  claim(what .. ": no second record", records() <= before + 1, records() - before)
  works(what)
end

local victims = { { "sc1", net.sc1 }, { "sc2", net.sc2 }, { "kdc1", net.kdc1 }, { "alice", alice }, { "bob", bob } }

run(function()
  alice:boot()
  bob:boot()
  all(ctas):expect { telephony = "ProvisionedAccess", within = "5s" }
  for _, victim in ipairs(victims) do
    local name, node = victim[1], victim[2]
    if args.who == "all" or args.who == name then
      for ms = args.first, args.last, args.step do
        -- on the way up
        local before = records()
        local call = alice:dial(bob.number)
        wait(ms .. "ms")
        node:restart()
        wait "2s"
        if call.state ~= "over" and call.state ~= "failed" then
          call:hangup()
        end
        check(name .. " " .. ms .. " ms after dialling", call, before)
        -- and on the way down
        before = records()
        call = alice:dial(bob.number)
        call:expect { state = "talking", within = "10s" }
        wait "300ms"
        if ms % 10 == 0 then call:hangup() else bob:hangup() end
        wait(ms .. "ms")
        node:restart()
        check(name .. " " .. ms .. " ms after hanging up", call, before)
      end
    end
  end
end)
