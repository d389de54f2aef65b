--- Each message of a call is lost once, on each link that it passes; then pairs of them, chosen by the seed. Whatever is lost, the call comes
--- about, its record says that it was answered, and nothing of it is left.
scenario {
  title = "Each message lost once", tags = { "calls", "loss" },
  args = { wan = "10ms", pairs = 60, links = "all" }, limit = "1000h",
}

-- associations between the controllers do not last from one call to the next: their exchanges are lost like all else
local net = topology "two_branches" { wan = { delay = args.wan }, association_lifetime = "20s" }
local alice = net:cta "alice" { provisioned = "215-555-0101", ring_timeout = "20s" }
local bob = net:cta "bob" { provisioned = "610-555-0102", auto_answer = "100ms" }
local taps = {
  { "hfc1", net:attacker "ear1" { on = net.hfc1 } },
  { "hfc2", net:attacker "ear2" { on = net.hfc2 } },
  { "lan1", net:attacker "ear3" { on = net.lan1 } },
  { "lan4", net:attacker "ear4" { on = net.lan4 } },
  { "backbone", net:attacker "ear5" { on = net.backbone } },
}
local kinds = { "Wake-up", "AP-REQ", "AP-REP", "AS-REQ", "AS-REP", "ESP" }
local most = 60 -- of a kind on a link in one call

never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }

-- A whole call with these packets lost; whether the first of them was met.
local function call_without(what, losses)
  local records, answered = net.sc1.records, net.sc1.answered
  local rules = {}
  for i, loss in ipairs(losses) do
    rules[i] = loss.tap:drop { kind = loss.kind, nth = loss.nth }
  end
  local call = alice:dial(bob.number)
  call:expect { what, state = "talking", within = "10s" }
  wait "1s"
  call:expect { what, state = "talking", rtp_refused = 0, from = bob }
  if losses[1].nth % 2 == 0 then call:hangup() else bob:hangup() end
  call:expect { what, keys_destroyed = true, within = "90s" }
  both(alice, bob):expect { what, line = "Idle", associations = 0, within = "90s" }
  both(net.sc1, net.sc2):expect { what, calls = 0, call_keys = 0, parties = 0, within = "90s" }
  claim(what .. ": one record, of an answered call", net.sc1.records == records + 1 and net.sc1.answered == answered + 1,
        net.sc1.records - records .. " records, " .. net.sc1.answered - answered .. " answered")
  local met = rules[1].hits > 0
  for _, rule in ipairs(rules) do
    rule:stop()
  end
  wait "25s" -- the controllers' association ends
  return met
end

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }
  local seen = {}
  for _, tap in ipairs(taps) do
    if args.links == "all" or args.links == tap[1] then
      for _, kind in ipairs(kinds) do
        for nth = 1, most do
          if not call_without(kind .. " " .. nth .. " on " .. tap[1], { { tap = tap[2], kind = kind, nth = nth } }) then
            break
          end
          seen[#seen + 1] = { tap = tap[2], kind = kind, nth = nth, name = kind .. " " .. nth .. " on " .. tap[1] }
        end
      end
    end
  end
  claim("there was something to lose", #seen > 0, #seen)
  for _ = 1, args.pairs do
    local a, b = seen[math.random(#seen)], seen[math.random(#seen)]
    call_without(a.name .. ", " .. b.name, { a, b })
  end
end)
