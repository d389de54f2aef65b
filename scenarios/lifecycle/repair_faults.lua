--- Repair (FIG. 11) with something in its way: each packet of it lost once, late; whatever has a part in it restarted at each moment; when
--- the facility's account is opened and when the owner's certificate is brought back. In the end everybody agrees about the owner's
--- account, which is never touched, and the facility's; the CTA has what it should, and at home it works. every=1: all faults, of one flow in a run,
--- since a CRL is for 30 days: every=1 flow=open, every=1 flow=restore.
scenario {
  title = "Repair with faults", tags = { "lifecycle", "loss", "faults", "fig11" },
  args = { wan = "10ms", every = 3, flow = "both" }, limit = "10000h",
}

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local carol = net:cta "carol" { dhcp = true, branch = 1, reboot_after = "1s" }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local life = shared "lifecycle" (net, { ctas = { carol }, others = { 0, 1 } })
for _, name in ipairs { "hfc2", "lan2", "lan4" } do
  life.tap(name)
end
local home, customer

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }

local function account()
  return net.pca:number { node = carol, ["repair"] = true }
end

local function owner_is_untouched(what)
  claim(what .. ": the owner's account is untouched", net.pca:number { node = carol } == home and net.pca:customer(home) == customer and
    net.bh:options(home) == "3way")
end

-- At the facility, where the certificate that it has is blown away.
local function stranger(what)
  if carol.telephony ~= "UnprovisionedAccess" then
    carol:wipe()
    carol:boot()
    carol:expect { what, telephony = "UnprovisionedAccess", line = "Idle", within = "10min" }
    wait "2s" -- the record of its address must be older than its call, to the second
  end
end

local function open(what, disturb)
  stranger(what)
  if disturb then
    life.rest()
  end
  life.attempt(carol, "want=repair;name=Repair Shop;pay=house", what, function() return account() ~= nil end, disturb)
  life.provisioned(carol, what)
  owner_is_untouched(what)
end

local function restore(what, disturb)
  stranger(what)
  if disturb then
    life.rest()
  end
  life.attempt(carol, "want=repair;number=" .. home, what, function() return account() == nil end, disturb)
  owner_is_untouched(what)
end

local function opening(what, disturb)
  open(what, disturb)
  restore(what)
end

local function restoring(what, disturb)
  open(what)
  restore(what, disturb)
end

local losses = {
  { "hfc2", kind = "AP-REQ" }, { "hfc2", kind = "AP-REP" }, { "hfc2", kind = "ESP" }, { "hfc2", from = net.pca }, { "hfc2", to = net.pca },
  { "lan2", kind = "AS-REQ" }, { "lan2", kind = "AS-REP" }, { "lan2", kind = "AP-REQ" }, { "lan2", kind = "AP-REP" },
  { "lan2", kind = "ESP" }, { "lan4", kind = "ESP" },
}
local moments = { 10, 1000, 2900, 3130, 3160, 3190, 3215, 3240, 3280, 3400 }

run(function()
  carol:boot()
  bob:boot()
  life.unprovisioned(carol, "at first")
  life.ask(carol, "want=new;name=Carol;address=1 Elm St;pay=invoice;options=3way;pin=4711")
  life.provisioned(carol, "provisioned")
  home = net.pca:number { node = carol }
  customer = net.pca:customer(home)
  carol:carry(net.hfc2)
  carol:boot()
  local flows = { open = { opening }, restore = { restoring }, both = { opening, restoring } }
  for _, flow in ipairs(flows[args.flow]) do
    flow "nothing lost"
    life.lose_each(losses, args.every, flow)
    life.lose_each(losses, args.every + 1, flow, "delay")
    life.repeat_all({ "hfc2", "lan2", "lan4" }, flow)
    life.restart_each({ carol, net.cmts2, net.sc2, net.kdc1, net.pca, net.bh, net.service }, moments, args.every, flow)
  end

  -- home again
  open "the last time"
  stranger "the last time"
  local said = life.ask(carol, "want=repair;number=" .. home)
  claim("the owner's certificate", said:find "^done=repair" ~= nil, said .. carol.telephony .. carol.certificates)
  carol:carry(net.hfc1)
  carol:boot()
  life.provisioned(carol, "home again")
  local call = carol:dial(bob.number)
  call:expect { state = "talking", from = bob, within = "10s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
end)
