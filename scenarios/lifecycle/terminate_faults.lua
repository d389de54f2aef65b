--- De-provisioning (FIG. 8) with something in its way: each packet of it lost once, late, twice; whatever has a part in it restarted at
--- each moment; and so when the CTA finds out. In the end provisioning CA, billing host, controller and head-end agree that there is no
--- account, and the CTA is an unprovisioned one, which can be provisioned again. every=2: every other fault only.
scenario {
  title = "De-provisioning with faults", tags = { "lifecycle", "loss", "faults", "fig8" }, args = { wan = "10ms", every = 1 },
  limit = "10000h",
}

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1, reboot_after = "1s" }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local life = shared "lifecycle" (net, { ctas = { alice }, others = { 0, 1 } })
for _, name in ipairs { "hfc1", "lan1", "lan4" } do
  life.tap(name)
end

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }

local losses = {
  { "hfc1", kind = "AP-REQ" }, { "hfc1", kind = "AP-REP" }, { "hfc1", kind = "ESP" },
  { "lan1", kind = "AS-REQ" }, { "lan1", kind = "AS-REP" }, { "lan1", kind = "AP-REQ" }, { "lan1", kind = "AP-REP" },
  { "lan1", kind = "ESP" }, { "lan4", kind = "ESP" },
}

local function number()
  return net.pca:number { node = alice }
end

local function provision(what)
  life.attempt(alice, "want=new;name=Alice;address=1 Oxford Road;pay=invoice", what, function() return number() ~= nil end)
  life.provisioned(alice, what)
end

-- [0157]: by its next call, or when it is switched on again.
local function finds_out(what, disturb)
  if disturb then
    disturb()
  end
  life.wait_until("30min", function()
    if alice.line == "Idle" and alice.telephony == "ProvisionedAccess" then
      local call = alice:dial(bob.number)
      life.wait_until("30s", function() return call.state == "failed" or call.state == "over" or call.state == "talking" end)
      claim(what .. ": it reaches nobody any more", call.state ~= "talking")
      wait "10s"
    end
    return alice.telephony == "UnprovisionedAccess"
  end)
  life.unprovisioned(alice, what)
  life.agree(what)
end

local function terminate(what, disturb)
  provision(what)
  life.rest()
  local old = number()
  life.attempt(alice, "want=terminate", what, function() return number() == nil end, disturb)
  claim(what .. ": nobody knows the customer", net.pca:customer(old) == nil and net.bh:customer(old) == nil)
  finds_out(what)
end

local function find_out(what, disturb)
  provision(what)
  life.attempt(alice, "want=terminate", what, function() return number() == nil end)
  wait "61s" -- not for so long that it learns by renewing its lease
  finds_out(what, disturb)
end

run(function()
  alice:boot()
  bob:boot()
  life.unprovisioned(alice, "at first")
  terminate "nothing lost"
  life.lose_each(losses, args.every, terminate)
  life.lose_each(losses, args.every + 1, terminate, "delay")
  life.repeat_all({ "hfc1", "lan1", "lan4" }, terminate)
  life.restart_each({ alice, net.cmts1, net.sc1, net.kdc1, net.pca, net.bh, net.service },
    { 10, 1000, 2900, 3130, 3160, 3190, 3215, 3240, 3280, 3400 }, args.every, terminate)
  life.lose_each({ { "hfc1" }, { "lan1", kind = "ESP" } }, args.every, find_out)
  life.repeat_all({ "hfc1", "lan1" }, find_out)
end)
