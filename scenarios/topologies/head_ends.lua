--- A city of HFC segments, each with its head-end, router and signaling controller, around one backbone; KDC, provisioning CA, billing
--- host and customer service (number 411) beside it. A CTA goes to segment 1, 2, ... in turn, or where `segment` says.
return function(net, opts)
  opts = options(opts, { segments = 4, wan = "5ms", hfc = "2ms", hfc_loss = "0%", lines = 1000,
    clones = "asked" }) -- up to 17 head-ends ask each other before they give a device an address [0133]; "unknown": they do not
  local backbone = net:link "backbone" { subnet = "10.0.0.0/24", delay = opts.wan, rate = "1000Mbit" }
  local centre = net:link "centre" { subnet = "10.200.0.0/24", delay = "100us", rate = "1000Mbit" }
  local to_segments, blocks = {}, {}
  for i = 1, opts.segments do
    to_segments["10." .. i .. ".0.0/16"], to_segments["10." .. 100 + i .. ".0.0/24"] = "10.0.0." .. i, "10.0.0." .. i
    blocks[i] = string.format("sc/sc%d=%d5550000-%d5559999", i, 200 + i, 200 + i)
  end
  net:router "r0" { on = { { backbone, "10.0.0.200/24" }, { centre, "10.200.0.1/24" } }, routes = to_segments }
  local kdc = net:kdc "kdc1" { on = { centre, "10.200.0.10/24" }, gateway = "10.200.0.1", restricted_numbers = "411" }
  local function others(own)
    local names = {}
    for i = 1, opts.segments do
      names[#names + 1] = i ~= own and "cmts" .. i or nil
    end
    return opts.clones == "asked" and #names > 0 and table.concat(names, ", ") or nil
  end
  for i = 1, opts.segments do
    local hfc_net, lan_net, routes = "10." .. i .. ".", "10." .. 100 + i .. ".0.", { ["10.200.0.0/24"] = "10.0.0.200" }
    local lan = net:link("lan" .. i) { subnet = lan_net .. "0/24", delay = "100us", rate = "100Mbit" }
    local hfc = net:link("hfc" .. i) { subnet = hfc_net .. "0.0/16", delay = opts.hfc, loss = opts.hfc_loss, rate = "40Mbit" }
    for net_of, way in pairs(to_segments) do
      routes[net_of] = way ~= "10.0.0." .. i and way or nil
    end
    routes[hfc_net .. "0.0/16"] = lan_net .. "2"
    net:router("r" .. i) { on = { { backbone, "10.0.0." .. i .. "/24" }, { lan, lan_net .. "1/24" } }, routes = routes }
    local sc = net:signaling_controller("sc" .. i) { on = { lan, lan_net .. "10/24" }, gateway = lan_net .. "1", kdc = kdc,
      routes = { [hfc_net .. "0.0/16"] = lan_net .. "2" }, restricted_numbers = "411" }
    net:cmts("cmts" .. i) { on = { { lan, lan_net .. "2/24" }, { hfc, hfc_net .. "0.1/16" } }, gateway = lan_net .. "1", hfc = hfc,
      kdc = kdc, controller = sc, peers = others(i), unprovisioned = hfc_net .. "128.1-" .. hfc_net .. "191.254", provisioned = hfc_net .. "64.1-" .. hfc_net .. "127.254" }
  end
  local bh = net:billing_host "bh" { on = { centre, "10.200.0.31/24" }, gateway = "10.200.0.1", kdc = kdc }
  local pca = net:provisioning_ca "pca" { on = { centre, "10.200.0.30/24" }, gateway = "10.200.0.1", kdc = kdc, billing = bh,
    numbers = table.concat(blocks, ";") }
  net:csr "service" { on = { centre, "10.200.0.32/24" }, gateway = "10.200.0.1", kdc = kdc, pca = pca, number = "411", lines = opts.lines }
  net:place("cta", function(net, name, given, nth)
    local i = given.segment or 1 + (nth - 1) % opts.segments
    return { on = { net["hfc" .. i], "none" }, controller = net["sc" .. i], head_end = net["cmts" .. i], kdc = kdc, dhcp = true }
  end, { segment = "1 to segments; default: in turn" })
end
