--- Who pays for a call: every call that was let go on has one record at the billing host, on the account of its caller, of the seconds
--- talked: between CTAs, to a server, not answered, declined, busy; of a CTA without account on "restricted"; of a call that was refused
--- none. Then with what can be in the way: requests or answers lost, doubled, billing host or controller restarted at each moment, the
--- controller in mid-call, the billing host away for an hour.
scenario { title = "Billing", tags = { "lifecycle", "billing", "faults" }, args = { wan = "10ms" }, limit = "12h" }

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local carol = net:cta "carol" { dhcp = true, branch = 1 }
local dave = net:cta "dave" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2 }
local eve = net:cta "eve" { provisioned = "215-555-0103", branch = 1 }
local ear = net:attacker "ear" { on = net.lan4 }
local number = "215-555-0200" -- carol's

never { "I4: each record is one call's, on its caller's account", record = "wrong" }
never { "I4: no answered call goes free", record = "missing" }
never { "orders and records between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }

-- what is on carol's account so far, and at the billing host at all
local billed = { calls = 0, seconds = 0, records = 0, all = 0 }

local function booked(what)
  both(net.sc1, net.sc2):expect { what .. ": all acknowledged", records_waiting = 0, records_lost = 0, within = "10min" }
  wait "1s"
end

-- One record more, and it is carol's: of so many seconds (a second begun is one).
local function pays(what, least, most)
  booked(what)
  local calls, seconds = net.bh:calls(number), net.bh:seconds(number)
  local talked = seconds - billed.seconds
  net.bh:expect { what .. ": one record more", records = billed.all + 1 }
  claim(what .. ": on the caller's account", net.bh:records_of(number) == billed.records + 1, net.bh:records_of(number))
  claim(what .. ": answered or not", calls == billed.calls + (most > 0 and 1 or 0), calls - billed.calls)
  claim(what .. ": the seconds talked", talked >= least and talked <= most, talked)
  billed = { calls = calls, seconds = seconds, records = billed.records + 1, all = billed.all + 1 }
end

-- So many records more, none of them carol's.
local function others(what, records)
  booked(what)
  net.bh:expect { what, records = billed.all + records }
  claim(what .. ": not the customer's", net.bh:records_of(number) == billed.records and net.bh:seconds(number) == billed.seconds)
  billed.all = billed.all + records
end

local function idle(...)
  for _, cta in ipairs { ... } do
    cta:expect { line = "Idle", within = "40s" }
  end
end

local function connect(caller, called, number)
  local call = caller:dial(number)
  call:expect { state = "ringing", within = "10s" }
  called:answer()
  call:expect { state = "talking", from = called, within = "10s" }
  return call
end

local function talks(seconds)
  local call = connect(carol, bob, bob.number)
  wait(seconds .. "s")
  return call
end

local function ask(cta, text, answer)
  local call = cta:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type(text)
  call:expect { heard = contains(answer), within = "60s" }
  call:hangup()
  cta:expect { line = "Idle", within = "5s" }
end

local function restricted()
  carol:boot()
  carol:expect { telephony = "UnprovisionedAccess", within = "60s" }
  ask(carol, "want=new;name=Carol;address=1 Elm St;pay=invoice", "number=2155550200")
  carol:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }
  booked "the call to customer service"
  net.bh:expect { "of nobody's money", accounts = 1, records = 1, restricted_calls = 1, customer_calls = 0, nobodys_calls = 0 }
  billed.all = 1
  dave:boot()
  dave:expect { telephony = "UnprovisionedAccess", within = "60s" }
  dave:dial(bob.number):expect { state = "failed", status = 403, within = "10s" }
  others("refused, so no record", 0)
end

local function plain_calls()
  talks(10):hangup()
  pays("ten seconds", 10, 11)
  local call = talks(5)
  bob:hangup()
  call:expect { state = "over", within = "5s" }
  pays("the called one hangs up", 5, 6)

  call = carol:dial(bob.number)
  call:expect { state = "ringing", within = "10s" }
  wait "3s"
  call:hangup()
  idle(carol, bob)
  pays("not answered", 0, 0)
  call = carol:dial(bob.number)
  call:expect { state = "ringing", within = "10s" }
  bob:hangup()
  call:expect { state = "failed", within = "5s" }
  idle(carol, bob)
  pays("declined", 0, 0)

  local other = connect(eve, bob, bob.number)
  carol:dial(bob.number):expect { state = "failed", status = 486, within = "10s" }
  pays("busy", 0, 0)
  other:hangup()
  idle(eve, bob)
  others("the call that it was busy with", 1)
  claim("is on its own caller's account", net.bh:calls(eve.number) == 1 and net.bh:kind(eve.number) == "nobody")

  carol:dial("303-555-0199"):expect { state = "failed", status = 404, within = "10s" }
  others("no such number: refused, so no record", 0)

  call = carol:dial "800-555-0100"
  call:expect { state = "talking", within = "10s" }
  wait "4s"
  call:hangup()
  idle(carol)
  pays("the announcement", 4, 5)

  connect(bob, carol, number):hangup()
  idle(carol, bob)
  others("the called one does not pay", 1)
end

local function lost(what, given)
  local rule = ear:drop { from = given.from, to = given.to, count = 0 }
  talks(3):hangup()
  wait "50s"
  claim(what .. ": there was something to lose", rule.hits > 0, rule.hits)
  rule:stop()
  idle(carol, bob)
  pays(what, 3, 4)
end

local function way_faults()
  lost("requests lost", { to = net.bh })
  local repeated = net.bh.repeated
  lost("answers lost", { from = net.bh })
  net.bh:expect { "which it had already", repeated = at_least(repeated + 1) }
  net.lan4:set { duplicate = "100%" }
  talks(3):hangup()
  idle(carol, bob)
  pays("everything doubled", 3, 4)
  net.lan4:set { duplicate = "0%", loss = "30%" }
  for i = 1, 5 do
    talks(3):hangup()
    idle(carol, bob)
    pays("a third lost, " .. i, 3, 4)
  end
  net.lan4:set { loss = "0%" }
end

-- The record takes some 20 ms to the billing host and back where there is an association, some 100 without.
local function restarts()
  for _, name in ipairs { "bh", "sc1", "sc2", "kdc1" } do
    for _, moment in ipairs { "0ms", "1ms", "5ms", "12ms", "14ms", "20ms", "26ms", "40ms", "80ms", "2s" } do
      local what = name .. " restarted " .. moment .. " after the end"
      talks(2):hangup()
      wait(moment)
      net[name]:restart()
      idle(carol, bob)
      pays(what, 2, 3)
    end
  end
end

local function restarts_in_mid_call()
  local call = talks(5)
  net.sc1:restart()
  wait "5s"
  call:hangup()
  idle(carol, bob)
  pays("its controller restarted in mid-call: what it saw is paid", 5, 6)

  call = talks(5)
  net.sc2:restart()
  net.bh:restart()
  wait "5s"
  call:hangup()
  idle(carol, bob)
  pays("the other controller and the billing host restarted in mid-call", 10, 11)

  call = carol:dial(bob.number)
  call:expect { state = "ringing", within = "10s" }
  net.sc1:restart()
  wait "1s"
  call:hangup()
  idle(carol, bob)
  wait "70s" -- the caller might have asked once more
  pays("its controller restarted while it rang", 0, 0)
end

local function away()
  local rule = ear:drop { to = net.bh, count = 0 }
  local seconds = 0
  for i = 1, 3 do
    talks(i):hangup()
    idle(carol, bob)
  end
  net.sc1:expect { records_waiting = 3 }
  wait "30min"
  net.sc1:restart()
  wait "30min"
  net.sc1:expect { "kept for an hour, and over a restart", records_waiting = 3 }
  rule:stop()
  booked "the billing host is back"
  net.bh:expect { records = billed.all + 3 }
  seconds = net.bh:seconds(number) - billed.seconds
  claim("three calls more, of six seconds", net.bh:calls(number) == billed.calls + 3 and seconds >= 6 and seconds <= 9, seconds)
end

run(function()
  bob:boot()
  eve:boot()
  both(bob, eve):expect { telephony = "ProvisionedAccess", within = "10s" }
  restricted()
  plain_calls()
  way_faults()
  restarts()
  restarts_in_mid_call()
  away()
  net.bh:expect { "nothing was said otherwise a second time", refused = 0, customer_calls = net.bh:calls(number) }
end)
