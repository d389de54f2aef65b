--- Many are provisioned at once over networks that lose, repeat and reorder packets, whichever they are: each is in the end, at most at the
--- fifth try, and provisioning CA, billing host, controllers and head-ends agree about all of them.
scenario {
  title = "Provisioning over lossy networks", tags = { "lifecycle", "loss" }, args = { ctas = 20, loss = "2%", duplicate = "5%" }, limit = "24h",
}

local bad = { delay = "10ms", loss = args.loss, duplicate = args.duplicate, reorder = "2%" }
local net = topology "two_branches" {
  wan = bad, hfc = { delay = "2ms", loss = args.loss, duplicate = args.duplicate, reorder = "2%" }, operations = true,
}
local ctas = {}
for i = 1, args.ctas do
  ctas[i] = net:cta("cta" .. i) { dhcp = true, branch = 1 + i % 2 }
end

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }

local function wait_until(limit, condition)
  local ends = now() + ns(limit)
  while not condition() and now() < ends do
    wait "100ms"
  end
end

local function ask(cta)
  local call = cta:dial "411"
  local function over()
    return call.state == "over" or call.state == "failed"
  end
  wait_until("30s", function() return call.state == "talking" or over() end)
  if call.state == "talking" then
    call:type "want=new;name=Ann;address=1 Elm St;pay=invoice;options=3way"
  end
  wait_until("60s", function() return over() or call.heard:find "^done=" or call.heard:find "^refused=" end)
  if not over() then
    call:hangup()
  end
  cta:expect { line = "Idle", within = "2min" }
end

local function provision(cta)
  cta:boot()
  for _ = 1, 5 do
    cta:expect { telephony = one_of("UnprovisionedAccess", "ProvisionedAccess"), within = "15min" }
    if cta.telephony == "UnprovisionedAccess" then
      ask(cta)
    end
    wait_until("3min", function() return cta.telephony == "ProvisionedAccess" end)
    if cta.telephony == "ProvisionedAccess" then
      break
    end
  end
  cta:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", line = "Idle" }
end

for i, cta in ipairs(ctas) do
  run(function()
    wait(i * 100 .. "ms")
    provision(cta)
  end)
end

run(function()
  all(ctas):expect { telephony = "ProvisionedAccess", within = "3h" }
  net.pca:expect { customers = args.ctas, under_way = 0, within = "15min" }
  net.bh:expect { accounts = args.ctas }
  claim("every subscriber", net.sc1.subscribers + net.sc2.subscribers == args.ctas)
  claim("every account of a head-end", net.cmts1.accounts + net.cmts2.accounts == args.ctas)
  for _, cta in ipairs(ctas) do
    local number = net.pca:number { node = cta }
    claim("the same customer: " .. cta.name, net.bh:customer(number) == net.pca:customer(number) and net.bh:options(number) == "3way")
  end
end)
