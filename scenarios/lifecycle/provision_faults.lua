--- Provisioning with something in its way: each packet of it lost once, on each link that it passes; whatever has a part in it restarted at
--- each moment; a billing host that is away; a caller that hangs up; a device that is denied. In the end provisioning CA, billing host,
--- controller and head-end agree about every account, the CTA is where FIG. 5 has it, and whoever was not provisioned is at the next try.
scenario {
  title = "Provisioning with faults", tags = { "lifecycle", "loss", "faults" }, args = { wan = "10ms", moments = 9 }, limit = "1000h",
}

-- associations between servers do not last from one customer to the next: their exchanges are lost like all else
-- each packet costs a number, of which there are too few for the head-ends' questions to each other: move_faults.lua has those
local net = topology "two_branches" { wan = { delay = args.wan }, operations = true, association_lifetime = "60s", clones = "unknown" }
local ctas = { {}, {} } -- of a branch, as many as there are numbers
for branch = 1, 2 do
  for i = 1, 100 do
    ctas[branch][i] = net:cta("cta" .. branch .. "x" .. i) { dhcp = true, branch = branch, reboot_after = "1s" }
  end
end
local taps = {
  { "hfc1", net:attacker "ear1" { on = net.hfc1 } },
  { "lan1", net:attacker "ear2" { on = net.lan1 } },
  { "lan4", net:attacker "ear3" { on = net.lan4 } },
}
local used, customers = { 0, 0 }, { 0, 0 }

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }

local function wait_until(limit, condition)
  local ends = now() + ns(limit)
  while not condition() and now() < ends do
    wait "50ms"
  end
  return condition()
end

local function over(call)
  return call.state == "over" or call.state == "failed"
end

-- What there is of provisioned customers, everywhere alike.
local function agree(what)
  net.pca:expect { what, under_way = 0, within = "15min" }
  both(net.sc1, net.sc2):expect { what, orders = 0, within = "2min" }
  local all_of = customers[1] + customers[2]
  net.pca:expect { what, customers = all_of }
  net.bh:expect { what, accounts = all_of }
  for branch = 1, 2 do
    net["sc" .. branch]:expect { what, subscribers = customers[branch] }
    net["cmts" .. branch]:expect { what, accounts = customers[branch] }
  end
end

local function stands(cta, what)
  cta:expect { what, telephony = one_of("UnprovisionedAccess", "ProvisionedAccess"),
    hfc = one_of("UnprovisionedAccess", "ProvisionedAccess"), line = "Idle", within = "10min" }
end

local function start(branch)
  used[branch] = used[branch] + 1
  local cta = ctas[branch][used[branch]]
  cta:boot()
  cta:expect { telephony = "UnprovisionedAccess", within = "60s" }
  return cta
end

-- V4 to V13, as far as it goes. What the centre answered, or nil.
local function ask(cta, disturb)
  if disturb then
    disturb()
  end
  local call = cta:dial "411"
  local said
  wait_until("20s", function() return call.state == "talking" or over(call) end)
  if call.state == "talking" then
    call:type "want=new;name=Ann;address=1 Elm St;pay=invoice;options=3way"
  end
  wait_until("40s", function()
    said = call.heard
    return over(call) or said:find "^done=" or said:find "^refused="
  end)
  if not over(call) then
    call:hangup()
  end
  wait_until("60s", function() return cta.line == "Idle" end)
  return said
end

-- Who knows the customer of a device, by its number.
local function check_number(cta, what)
  local number = net.pca:number { node = cta }
  claim(what .. ": it has a number", number ~= nil)
  claim(what .. ": billing and provisioning know the same customer", net.bh:customer(number) == net.pca:customer(number))
  claim(what .. ": with the same options", net.bh:options(number) == net.pca:options(number))
end

-- Provisions a CTA, with a fault at the first try; the second is good.
local function provision(cta, branch, what, disturb)
  local tries = 0
  while tries < 2 do
    tries = tries + 1
    ask(cta, tries == 1 and disturb or nil)
    net.pca:expect { what, under_way = 0, within = "15min" }
    wait "3s"
    stands(cta, what)
    local number = net.pca:number { node = cta }
    if number then
      customers[branch] = customers[branch] + 1
    end
    agree(what)
    if number then
      break
    end
  end
  cta:expect { what .. ": provisioned", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", certificates = at_least(1), within = "2min" }
  check_number(cta, what)
  return tries
end

-- V1 to V3, and V14: a CTA is switched on, each packet lost once; a broadcast is one for each that hears it.
local function boot_without(cta, tap, nth, state)
  local what = "packet " .. nth .. " on " .. tap[1] .. " on the way to " .. state
  cta:power_off()
  wait "61s" -- no association lasts
  local rule = tap[2]:drop { nth = nth }
  cta:boot()
  cta:expect { what, telephony = state, hfc = state, within = "2min" }
  local met = rule.hits > 0
  rule:stop()
  return met
end

local function boots(cta, state)
  for _, tap in ipairs(taps) do
    local nth = 1
    while boot_without(cta, tap, nth, state) do
      nth = nth + 1
    end
    claim("there was something to lose on " .. tap[1], nth > 3, nth)
  end
  agree "after boots"
end

-- V4 to V13: packets of a kind on a link, of a customer of a branch, each lost once.
local losses = {
  { 1, taps[1], { kind = "AP-REQ" } }, { 1, taps[1], { kind = "AP-REP" } }, { 1, taps[1], { kind = "ESP" } },
  { 1, taps[1], { from = net.pca } }, { 1, taps[1], { to = net.pca } }, -- the certificate, its acknowledgement
  { 1, taps[2], { kind = "AS-REQ" } }, { 1, taps[2], { kind = "AS-REP" } }, { 1, taps[2], { kind = "AP-REQ" } },
  { 1, taps[2], { kind = "AP-REP" } }, { 1, taps[2], { kind = "ESP" } },
  { 2, taps[3], { kind = "AS-REQ" } }, { 2, taps[3], { kind = "AS-REP" } }, { 1, taps[3], { kind = "AP-REQ" } },
  { 2, taps[3], { kind = "AP-REP" } }, { 2, taps[3], { kind = "ESP" } },
}

local function lose(branch, tap, given, nth)
  local what = (given.kind or "packet of the certificate") .. " " .. nth .. " on " .. tap[1]
  local cta = start(branch)
  wait "61s" -- no association lasts
  local rule = tap[2]:drop { kind = given.kind, from = given.from, to = given.to, nth = nth }
  provision(cta, branch, what)
  local met = rule.hits > 0
  rule:stop()
  cta:power_off()
  return met
end

local function lose_each()
  for _, loss in ipairs(losses) do
    local nth = 1
    while lose(loss[1], loss[2], loss[3], nth) do
      nth = nth + 1
    end
    claim("there was something to lose", nth > 1, nth - 1)
  end
end

-- A restart, a cable that is out for a while, a customer who hangs up, at moments from before the answer to after the certificate.
local moments = { 10, 1000, 2900, 3130, 3160, 3190, 3215, 3240, 3400 } -- ms from dialling; 3130 to 3240: the centre has asked
local disturbances = {
  { "CTA restarted", function(cta) cta:restart() end },
  { "cable out", function()
    net.hfc2:cut()
    wait "700ms"
    net.hfc2:mend()
  end },
  { "hung up", function(cta)
    if cta.line ~= "Idle" then
      cta:hangup()
    end
  end },
}
for _, name in ipairs { "cmts2", "sc2", "kdc1", "pca", "bh", "service" } do
  disturbances[#disturbances + 1] = { name .. " restarted", function() net[name]:restart() end }
end

local function disturb_each()
  for i, disturbance in ipairs(disturbances) do
    for m = 1, math.min(args.moments, #moments) do
      local branch = (i <= 5 or used[1] > used[2]) and 2 or 1 -- the first five are of branch 2
      local cta = start(branch)
      provision(cta, branch, disturbance[1] .. " after " .. moments[m] .. " ms", function()
        after(moments[m] .. "ms", function() disturbance[2](cta) end)
      end)
      cta:power_off()
    end
  end
end

-- Away for longer than the CA has patience: the customer is told so, all is taken back once there is an answer; the next try is the good one.
local function away(who, reason, tap, given)
  local cta = start(1)
  local rule = tap:drop { from = given.from, to = given.to, count = 0 }
  local before = net.pca.taken_back
  local call = cta:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type "want=new;name=Ann;address=1 Elm St;pay=invoice;options=3way"
  call:expect { who .. " is away: the customer is told", heard = contains "provisioning does not answer", within = "2min" }
  call:expect { state = "over", within = "5min" }
  net.service:expect { who .. " is away: refused", last_reason = reason, open = 0, within = "15min" }
  rule:stop()
  agree(who .. " was away")
  claim(who .. " was away: taken back", net.pca:number { node = cta } == nil and net.pca.taken_back == before + 1)
  provision(cta, 1, who .. " is there again")
  cta:power_off()
end

-- V3, V7: not approved, before or after it has its ticket.
local function denied()
  used[1] = used[1] + 1
  local cta = ctas[1][used[1]]
  net.pca:deny { node = cta }
  cta:boot()
  cta:expect { "denied: no ticket", pkinit_refusals = at_least(1), telephony = "NotConfigured", hfc = "UnprovisionedAccess", within = "60s" }
  expect_refusals { by = "pca.denied", at = net.pca }
  net.pca:approve { node = cta }
  cta:expect { "approved: it gets one when it asks again", telephony = "UnprovisionedAccess", within = "5min" }
  net.pca:deny { node = cta }
  local call = cta:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type "want=new;name=Mallory;address=1 Elm St;pay=invoice"
  call:expect { "denied: the customer is told", heard = "refused=pca.denied", within = "60s" }
  call:hangup()
  agree "denied"
  net.pca:approve { node = cta }
  provision(cta, 1, "approved after all")
  cta:power_off()
end

run(function()
  local first = start(1)
  boots(first, "UnprovisionedAccess")
  provision(first, 1, "nothing lost")
  boots(first, "ProvisionedAccess")
  first:power_off()
  denied()
  away("billing host", "pca.billing_away", taps[3][2], { to = net.bh })
  away("controller", "pca.controller_away", taps[3][2], { from = net.pca, to = net.sc1 })
  away("CTA", "pca.cta_away", taps[1][2], { from = net.pca })
  lose_each()
  disturb_each()
end)
