--- Calls longer than what they began with: than the associations with the controllers, than the ticket. And calls that nobody ends because
--- nobody is left: both CTAs, or all but the controllers, lose power; the controllers find out by themselves, and no key outlives that.
scenario { title = "Long calls, and calls that nobody ends", tags = { "calls", "faults" }, args = { minutes = 20 }, limit = "1000h" }

local net = topology "two_branches" { association_lifetime = "6min", ticket_lifetime = "10min" }
local alice = net:cta "alice" { provisioned = "215-555-0101" }
local bob = net:cta "bob" { provisioned = "610-555-0102", auto_answer = "1s" }

never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }

local function quiet(within)
  both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, parties = 0, within = within }
  both(alice, bob):expect { line = "Idle", associations = 0, within = within }
end

local function talk()
  local call = alice:dial(bob.number)
  call:expect { state = "talking", within = "10s" }
  return call
end

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }

  for _, who in ipairs { alice, bob } do
    local records = net.sc1.records
    local call = talk()
    wait(args.minutes .. "min")
    call:expect { state = "talking", rtp_lost = 0, rtp_refused = 0 }
    net.sc1:expect { calls = 1, call_keys = 1 }
    who:hangup()
    call:expect { state = "over", keys_destroyed = true, within = "2s" }
    net.sc1:expect { records = records + 1, within = "1s" }
    quiet "90s"
  end

  -- both CTAs lose power in mid-call
  local records = net.sc1.records
  local call = talk()
  alice:power_off()
  bob:power_off()
  wait "1min"
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }
  both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, within = "6min" }
  net.sc1:expect { records = records + 1 }
  call:expect { keys_destroyed = true }
  quiet "90s"

  -- and with them one of the controllers, either
  for _, sc in ipairs { net.sc1, net.sc2 } do
    call = talk()
    alice:restart()
    bob:restart()
    sc:restart()
    both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, within = "7min" }
    quiet "90s"
  end
  call = talk()
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
  quiet "5s"
end)
