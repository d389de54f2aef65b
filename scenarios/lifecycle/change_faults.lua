--- A change of service (FIG. 9) with something in its way: each packet of it lost once, late, twice; whatever has a part in it restarted at
--- each moment. In the end provisioning CA, billing host, controller and head-end agree about the account and its options, the CTA has a
--- certificate that works, and what was not changed is at the next try. every=2: every other fault only.
scenario {
  title = "Change of service with faults", tags = { "lifecycle", "loss", "faults", "fig9" }, args = { wan = "10ms", every = 1 },
  limit = "10000h",
}

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1, reboot_after = "1s" }
local life = shared "lifecycle" (net, { ctas = { alice } })
for _, name in ipairs { "hfc1", "lan1", "lan4" } do
  life.tap(name)
end

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }

local losses = {
  { "hfc1", kind = "AP-REQ" }, { "hfc1", kind = "AP-REP" }, { "hfc1", kind = "ESP" },
  { "hfc1", from = net.pca }, { "hfc1", to = net.pca }, -- the certificate, its acknowledgement
  { "lan1", kind = "AS-REQ" }, { "lan1", kind = "AS-REP" }, { "lan1", kind = "AP-REQ" }, { "lan1", kind = "AP-REP" },
  { "lan1", kind = "ESP" }, { "lan4", kind = "ESP" },
}
local options = { "3way", "caller-id", "caller-id,3way", "" }
local turn = 0

local function change(what, disturb)
  turn = turn % #options + 1
  local wish = options[turn]
  life.rest()
  local customer = net.pca:customer(net.pca:number { node = alice })
  life.attempt(alice, "want=change;options=" .. wish, what, function()
    return net.pca:options(net.pca:number { node = alice }) == wish
  end, disturb)
  life.provisioned(alice, what)
  claim(what .. ": the customer is the same", net.pca:customer(net.pca:number { node = alice }) == customer)
end

run(function()
  alice:boot()
  life.unprovisioned(alice, "at first")
  life.ask(alice, "want=new;name=Alice;address=1 Oxford Road;pay=invoice")
  life.provisioned(alice, "provisioned")
  change "nothing lost"
  life.lose_each(losses, args.every, change)
  life.lose_each(losses, args.every + 1, change, "delay")
  life.repeat_all({ "hfc1", "lan1", "lan4" }, change)
  life.restart_each({ alice, net.cmts1, net.sc1, net.kdc1, net.pca, net.bh, net.service },
    { 10, 1000, 2900, 3130, 3160, 3190, 3215, 3240, 3280, 3400, 4500 }, args.every, change)

  -- What nobody has heard, and was undone since, is not told to who asks for it again.
  life.rest()
  life.ask(alice, "want=change;options=") -- which makes the associations
  life.provisioned(alice, "none")
  local said = life.ask(alice, "want=change;options=3way", function()
    after("3200ms", function() net.service:restart() end)
  end)
  claim("nobody has heard it", not said:find "^done=", said)
  net.pca:expect { under_way = 0, within = "2min" }
  life.provisioned(alice, "3way")
  claim("it was done", net.pca:options(net.pca:number { node = alice }) == "3way")
  for _, wish in ipairs { "caller-id", "3way" } do
    claim("done", life.ask(alice, "want=change;options=" .. wish):find "^done=" ~= nil)
    claim("done: " .. wish, net.pca:options(net.pca:number { node = alice }) == wish)
    life.provisioned(alice, wish)
  end
end)
