--- Whatever restarts, at whatever moment of a call between a CTA and the PSTN, either way, on the way up or down: in the end lines and
--- circuits are idle, nobody holds a key of the call, and the next call works.
scenario {
  title = "Restarts around the PSTN", tags = { "calls", "faults" },
  args = { first = 0, last = 240, step = 15, who = "all", loss = "0%" }, limit = "1000h",
}

local net = topology "two_branches" { wan = { loss = args.loss } }
local trunk = net:link "trunk" { subnet = "10.203.0.0/24", delay = "1ms", rate = "100Mbit", loss = args.loss }
local tg = net:trunk_gateway "tg" {
  on = { { net.lan4, "10.104.0.31/24" }, { trunk, "10.203.0.21/24" } }, gateway = "10.104.0.1", kdc = net.kdc1,
  pstn = "10.203.0.10", circuits = 2,
}
local sg = net:signaling_gateway "sg" {
  on = { { net.lan4, "10.104.0.30/24" }, { trunk, "10.203.0.20/24" } }, gateway = "10.104.0.1", kdc = net.kdc1,
  pstn = "10.203.0.10", trunk_gateway = tg, prefixes = "212", circuits = 2,
}
local exchange = net:pstn "exchange" {
  on = { trunk, "10.203.0.10/24" }, signaling_gateway = sg, trunk_gateway = tg, circuits = 2, phones = "212-555-0001",
}
local phone = "212-555-0001"
local alice = net:cta "alice" { provisioned = "215-555-0101", ring_timeout = "20s", auto_answer = "50ms" }

never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }
never { "voice of a CTA in clear", message = { proto = "rtp", cover = "clear" } }

local function quiet(what)
  alice:expect { what, line = "Idle", associations = 0, telephony = "ProvisionedAccess", within = "120s" }
  net.sc1:expect { what, calls = 0, call_keys = 0, parties = 0, within = "120s" }
  both(sg, tg):expect { what, calls = 0, call_keys = 0, within = "120s" }
  both(sg, exchange):expect { what, circuits_idle = 2, link_up = true, within = "120s" }
  exchange:expect { what, calls = 0, within = "120s" }
end

local function dial(out)
  if out then
    exchange:answer { number = phone, after = "50ms" }
    return alice:dial(phone)
  end
  return exchange:dial { from = phone, number = alice.number }
end

local function over(call)
  return call.state == "over" or call.state == "failed"
end

-- What was in the way of one call is not in the way of the next.
local function works(what, out)
  local call = dial(out)
  call:expect { what, state = "talking", within = "10s" }
  wait "300ms"
  if out then
    call:expect { what, rtp_received = at_least(5), rtp_refused = 0, from = tg }
  else
    call:expect { what, voice_heard = at_least(3) }
  end
  call:hangup()
  quiet(what)
end

local function check(what, call, out)
  wait "2s"
  if not over(call) then
    call:hangup()
  end
  quiet(what)
  works(what, out)
end

local victims = { sg = sg, tg = tg, exchange = exchange, sc1 = net.sc1, alice = alice, kdc1 = net.kdc1 }

run(function()
  alice:boot()
  alice:expect { telephony = "ProvisionedAccess", within = "10s" }
  both(sg, exchange):expect { link_up = true, circuits_idle = 2, within = "10s" }
  for _, name in ipairs { "sg", "tg", "exchange", "sc1", "alice", "kdc1" } do
    local node = victims[name]
    if args.who == "all" or args.who == name then
      for ms = args.first, args.last, args.step do
        for _, out in ipairs { true, false } do
          local way = out and "out" or "in"
          -- on the way up
          local call = dial(out)
          wait(ms .. "ms")
          node:restart()
          check(name .. " " .. ms .. " ms after dialling " .. way, call, out)
          -- and on the way down
          call = dial(out)
          call:expect { state = "talking", within = "10s" }
          wait "300ms"
          if ms % 2 == 0 then
            call:hangup()
          elseif out then
            exchange:hangup(phone)
          else
            alice:hangup()
          end
          wait(ms .. "ms")
          node:restart()
          check(name .. " " .. ms .. " ms after hanging up " .. way, call, out)
        end
      end
    end
  end
end)
