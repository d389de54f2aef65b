--- A segment move (FIG. 10) with something in its way: each packet of it lost once, late, twice; whatever has a part in it restarted at
--- each moment; and so when the CTA is switched on where nobody knows it. It is carried to and fro, so that each branch is the old one
--- and the new one in turn. In the end everybody agrees where its account is, and the old number is nobody's. every=1: all faults.
scenario {
  title = "Segment move with faults", tags = { "lifecycle", "loss", "faults", "fig10" }, args = { wan = "10ms", every = 2 },
  limit = "10000h",
}

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local carol = net:cta "carol" { dhcp = true, branch = 1, reboot_after = "1s" }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local life = shared "lifecycle" (net, { ctas = { carol }, others = { 0, 1 } })
for _, name in ipairs { "hfc1", "hfc2", "lan1", "lan2", "lan4" } do
  life.tap(name)
end

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }

local function number()
  return net.pca:number { node = carol }
end

-- Where its account is, and where it is not.
local function here()
  return life.branch_of(number())
end

local function elsewhere()
  return 3 - here()
end

-- V1 to V3 where its operator certificate is worth nothing.
local function carry(branch, what, disturb)
  carol:power_off()
  if disturb then
    life.rest()
    disturb()
  end
  carol:carry(net["hfc" .. branch])
  carol:boot()
  life.unprovisioned(carol, what)
  life.agree(what)
end

local function move(what, disturb)
  local old, to = number(), elsewhere()
  if not (carol.segment == net["hfc" .. to] and carol.telephony == "UnprovisionedAccess") then
    carry(to, what)
  end
  if disturb then
    life.rest()
  end
  local function wish()
    return "want=move;number=" .. number() .. ";pin=4711"
  end
  life.attempt(carol, wish, what, function() return here() == to end, disturb)
  life.provisioned(carol, what)
  claim(what .. ": the old number is nobody's", net.pca:customer(old) == nil and net.bh:customer(old) == nil, old)
end

local function arrive(what, disturb)
  carry(elsewhere(), what, disturb)
  move(what)
end

-- The controllers change their parts with each move: a packet on a link of branch 1 is of the old one or of the new one.
local function both_ways(one)
  return function(what, disturb)
    if here() == 2 then
      one(what .. ", before")
    end
    one(what .. ", from 1 to 2", disturb)
  end
end

local function back(one)
  return function(what, disturb)
    if here() == 1 then
      one(what .. ", before")
    end
    one(what .. ", from 2 to 1", disturb)
  end
end

local losses = { -- from 1 to 2
  { "hfc2", kind = "AP-REQ" }, { "hfc2", kind = "AP-REP" }, { "hfc2", kind = "ESP" }, { "hfc2", from = net.pca }, { "hfc2", to = net.pca },
  { "lan1", kind = "AP-REQ" }, { "lan1", kind = "AP-REP" }, { "lan1", kind = "ESP" },
  { "lan2", kind = "AS-REQ" }, { "lan2", kind = "AS-REP" }, { "lan2", kind = "AP-REQ" }, { "lan2", kind = "AP-REP" },
  { "lan2", kind = "ESP" },
  { "lan4", kind = "ESP" },
}
local moments = { 10, 1000, 2900, 3130, 3160, 3190, 3215, 3240, 3280, 3320, 3400 }

run(function()
  carol:boot()
  bob:boot()
  life.unprovisioned(carol, "at first")
  life.ask(carol, "want=new;name=Carol;address=1 Elm St;pay=invoice;options=3way;pin=4711")
  life.provisioned(carol, "provisioned")
  move "nothing lost"
  life.lose_each(losses, args.every, both_ways(move))
  life.lose_each(losses, args.every + 2, both_ways(move), "delay")
  life.repeat_all({ "hfc2", "lan1", "lan2", "lan4" }, move)
  life.restart_each({ carol, net.cmts1, net.cmts2, net.sc1, net.sc2, net.kdc1, net.pca, net.bh, net.service }, moments, args.every + 1, move)
  life.lose_each({ { "hfc1" } }, 4 * args.every, back(arrive)) -- the most are those of one file
  life.lose_each({ { "lan1", kind = "ESP" }, { "lan4", kind = "ESP" } }, 3 * args.every, back(arrive))
  claim("the options have come along", net.pca:options(number()) == "3way")
end)
