--- Provisioning with any two of its packets lost: of each kind, on each link that it passes, from the first ticket to the provisioned one.
--- In the end everybody agrees about the account, the CTA is where FIG. 5 has it, and it is provisioned, at the latest at the next try.
--- pairs=all: all of them, else so many, drawn by the seed; pairs=all parts=20 part=1: every twentieth of them, since a CRL is for 30 days.
scenario {
  title = "Provisioning with two packets lost", tags = { "lifecycle", "loss", "faults" },
  args = { wan = "10ms", pairs = "150", parts = 1, part = 1 }, limit = "10000h",
}

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1, reboot_after = "1s" }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local life = shared "lifecycle" (net, { ctas = { alice }, others = { 0, 1 } })

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }

local kinds = {
  { "hfc1", kind = "AS-REQ" }, { "hfc1", kind = "AS-REP" }, { "hfc1", kind = "AP-REQ" }, { "hfc1", kind = "AP-REP" }, { "hfc1", kind = "ESP" },
  { "hfc1", from = net.pca }, { "hfc1", to = net.pca },
  { "lan1", kind = "AP-REQ" }, { "lan1", kind = "AP-REP" }, { "lan1", kind = "ESP" },
  { "lan4", kind = "AS-REQ" }, { "lan4", kind = "AS-REP" }, { "lan4", kind = "AP-REQ" }, { "lan4", kind = "AP-REP" }, { "lan4", kind = "ESP" },
}
for _, k in ipairs(kinds) do
  k.tap = life.tap(k[1]).tap
  k.between_servers = k[1] ~= "hfc1" and k.kind ~= "ESP"
end

local function number()
  return net.pca:number { node = alice }
end

-- As new: switched off, without an account and a certificate.
local function clear(what)
  if number() then
    life.attempt(alice, "want=terminate", what, function() return number() == nil end)
    alice:wipe()
  end
  alice:power_off()
end

local function provision(what, arm)
  arm()
  alice:boot()
  alice:expect { what, telephony = "UnprovisionedAccess", within = "10min" }
  life.attempt(alice, "want=new;name=Alice;address=1 Oxford Road;pay=invoice;options=3way", what, function() return number() ~= nil end)
  life.provisioned(alice, what)
  alice:expect { what, certificates = at_least(1) }
end

-- Each packet that there is to lose, once associations have ended.
local function packets()
  local rules, list = {}, {}
  life.rest()
  provision("nothing lost", function()
    for i, k in ipairs(kinds) do
      rules[i] = k.tap:delay { kind = k.kind, from = k.from, to = k.to, by = "1ns", count = 0 } -- counts
    end
  end)
  for i, k in ipairs(kinds) do
    claim("there is something to lose", rules[i].hits > 0, (k.kind or "packet") .. " on " .. k[1])
    for nth = 1, rules[i].hits do
      list[#list + 1] = { kind = k, nth = nth, name = nth .. " " .. (k.kind or "packet of the certificate") .. " on " .. k[1] }
    end
    rules[i]:stop()
  end
  return list
end

local function pairs_of(list)
  local all = {}
  for i = 1, #list do
    for j = i + 1, #list do
      all[#all + 1] = { list[i], list[j] }
    end
  end
  if args.pairs == "all" then
    return all
  end
  local some = {}
  for i = 1, tonumber(args.pairs) do
    some[i] = table.remove(all, math.random(#all))
  end
  return some
end

local function lose(pair)
  local what = pair[1].name .. " and " .. pair[2].name
  local rules = {}
  clear(what)
  if pair[1].kind.between_servers or pair[2].kind.between_servers then
    life.rest()
  end
  provision(what, function()
    for i, packet in ipairs(pair) do
      local k = packet.kind
      rules[i] = k.tap:drop { kind = k.kind, from = k.from, to = k.to, nth = packet.nth }
    end
  end)
  local lost = rules[1].hits + rules[2].hits
  rules[1]:stop()
  rules[2]:stop()
  return lost
end

run(function()
  local lost = 0
  bob:boot()
  for i, pair in ipairs(pairs_of(packets())) do
    if i % args.parts == args.part % args.parts then
      lost = lost + lose(pair)
    end
  end
  claim("packets were lost", lost > 0, lost .. " packets")
end)
