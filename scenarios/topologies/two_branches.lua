--- FIG. 1: two HFC segments, each with its head-end, router and signaling controller; a third branch with the KDC and an announcement
--- server; a backbone between the routers. A CTA goes to branch 1, 2, 1, ... in order of creation, or where `branch` says.
return function(net, opts)
  opts = options(opts, {
    wan = { delay = "10ms", loss = "0%", jitter = "0ms", reorder = "0%", duplicate = "0%" },
    hfc = { delay = "2ms", rate = "40Mbit", loss = "0%", jitter = "0ms", reorder = "0%", duplicate = "0%" },
    kdc = "distinct",                 -- "co-located": in the machine of sc1 [0041]; "two": kdc1 near sc1 and the CTAs, kdc2 near the rest [0124]
    ticket_lifetime = "7d",
    association_lifetime = "1h",
    operations = false,               -- provisioning CA "pca", billing host "bh", customer service "service" (number 411), DHCP
    restricted = "411", reach = "",   -- with operations: numbers that a CTA without an account may call, addresses that it reaches for them
    service = { answers = "agent" },  -- with operations: who answers there, agent or menu
    clones = "asked",                 -- with operations: the head-ends ask each other before they give a device an address [0133]; "unknown": not
    server = { number = "800-555-0100", lines = 1000, announcement = "10s" }, -- the announcement server "announce"
    escrow = { sc1 = "kept", sc2 = "kept" }, -- where the sub-keys of its calls are for lawful intercept: kept or cookie
  })
  local co_located, two = opts.kdc == "co-located", opts.kdc == "two"

  local backbone = net:link "backbone" {
    subnet = "10.0.0.0/24", delay = opts.wan.delay, loss = opts.wan.loss, jitter = opts.wan.jitter, reorder = opts.wan.reorder,
    duplicate = opts.wan.duplicate, rate = "1000Mbit",
  }
  -- where everything is, for the routers' tables
  local function routes_except(own)
    local routes = {}
    for _, branch in ipairs { 1, 2, 4 } do
      if branch ~= own then
        routes["10." .. (100 + branch) .. ".0.0/16"] = "10.0.0." .. branch
        routes["10." .. branch .. ".0.0/16"] = "10.0.0." .. branch
      end
    end
    return routes
  end

  -- branch 3 of the figure, the PSTN gateways, comes with them
  local lan4 = net:link "lan4" { subnet = "10.104.0.0/24", delay = "100us", rate = "100Mbit" }
  net:router "r4" { on = { { backbone, "10.0.0.4/24" }, { lan4, "10.104.0.1/24" } }, routes = routes_except(4) }
  local restricted = opts.operations and opts.restricted or ""
  local kdc -- in its own machine; nil: beside sc1
  local central -- of what stands in branch 4
  if not co_located then
    central = net:kdc(two and "kdc2" or "kdc1") { on = { lan4, "10.104.0.10/24" }, gateway = "10.104.0.1", ticket_lifetime = opts.ticket_lifetime,
      restricted_numbers = restricted }
    kdc = not two and central or nil
  end

  for _, branch in ipairs { 1, 2 } do
    local lan_net, hfc_net = "10." .. (100 + branch) .. ".0.", "10." .. branch .. ".0."
    local lan = net:link("lan" .. branch) { subnet = lan_net .. "0/24", delay = "100us", rate = "100Mbit" }
    local hfc = net:link("hfc" .. branch) {
      subnet = hfc_net .. "0/16", first = hfc_net .. "10", gateway = hfc_net .. "1", delay = opts.hfc.delay, loss = opts.hfc.loss,
      jitter = opts.hfc.jitter, reorder = opts.hfc.reorder, duplicate = opts.hfc.duplicate, rate = opts.hfc.rate,
    }
    local routes = routes_except(branch)
    routes["10." .. branch .. ".0.0/16"] = lan_net .. "2"
    net:router("r" .. branch) { on = { { backbone, "10.0.0." .. branch .. "/24" }, { lan, lan_net .. "1/24" } }, routes = routes }
    if two and branch == 1 then
      kdc = net:kdc "kdc1" { on = { lan, lan_net .. "9/24" }, gateway = lan_net .. "1",
        routes = { ["10.1.0.0/16"] = lan_net .. "2" }, ticket_lifetime = opts.ticket_lifetime, restricted_numbers = restricted }
    end
    local sc = net:signaling_controller("sc" .. branch) {
      on = { lan, lan_net .. "10/24" }, gateway = lan_net .. "1", routes = { ["10." .. branch .. ".0.0/16"] = lan_net .. "2" },
      kdc = kdc, -- sc1 beside whose it stands has it already
      escrow = opts.escrow["sc" .. branch], association_lifetime = opts.association_lifetime, ticket_lifetime = opts.ticket_lifetime,
      restricted_numbers = restricted, billing = opts.operations and "bh" or nil,
    }
    if co_located then
      kdc = kdc or sc
    end
    local pools = opts.operations and { hfc_net:sub(1, -3) .. "128.10-" .. hfc_net:sub(1, -3) .. "128.250",
      hfc_net:sub(1, -3) .. "64.10-" .. hfc_net:sub(1, -3) .. "64.250" } or {}
    net:cmts("cmts" .. branch) {
      on = { { lan, lan_net .. "2/24" }, { hfc, hfc_net .. "1/16" } }, gateway = lan_net .. "1", hfc = hfc, kdc = kdc,
      controller = sc, unprovisioned = pools[1], provisioned = pools[2],
      reach = opts.operations and opts.reach ~= "" and opts.reach or nil,
      peers = opts.operations and opts.clones == "asked" and "cmts" .. 3 - branch or nil,
    }
  end

  central = central or kdc
  net:network_server "announce" {
    on = { lan4, "10.104.0.20/24" }, gateway = "10.104.0.1", kdc = central, number = opts.server.number, lines = opts.server.lines,
    announcement = opts.server.announcement,
  }

  if opts.operations then
    local bh = net:billing_host "bh" { on = { lan4, "10.104.0.31/24" }, gateway = "10.104.0.1", kdc = central }
    local pca = net:provisioning_ca "pca" {
      on = { lan4, "10.104.0.30/24" }, gateway = "10.104.0.1", kdc = central, billing = bh,
      numbers = "sc/sc1=2155550200-2155550299;sc/sc2=6105550200-6105550299",
    }
    net:csr "service" { on = { lan4, "10.104.0.32/24" }, gateway = "10.104.0.1", kdc = central, pca = pca, number = "411",
      answers = opts.service.answers }
  end

  net:place("cta", function(net, name, given, nth)
    local branch = given.branch or 1 + (nth - 1) % 2
    return {
      on = given.dhcp and { net["hfc" .. branch], "none" } or net["hfc" .. branch], controller = net["sc" .. branch], head_end = net["cmts" .. branch],
      kdc = kdc,
    }
  end, { branch = "1 or 2; default: in turn" })
end
