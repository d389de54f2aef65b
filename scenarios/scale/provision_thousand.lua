--- Many new CTAs on four head-ends are switched on side by side, call customer service and are provisioned; in the end provisioning CA, billing
--- host, signaling controllers and head-ends agree about every one of them, each has a certificate of its own, and no number is given twice.
scenario {
  title = "A thousand CTAs provisioned at once", tags = { "scale", "lifecycle" }, args = { ctas = 1000, every = "20ms" },
  messages = false, limit = "1h",
}

local net = topology "head_ends" { segments = 4, lines = args.ctas }
local ctas = {}
for i = 1, args.ctas do
  ctas[i] = net:cta("c" .. i) {}
end

local function segment(i)
  return 1 + (i - 1) % 4
end

local function provision(i)
  local cta = ctas[i]
  wait(time((i - 1) * ns(args.every)))
  cta:boot()
  cta:expect { telephony = "UnprovisionedAccess", within = "60s" }
  local call = cta:dial "411"
  call:expect { state = "talking", within = "30s" }
  call:type("want=new;name=Customer " .. i .. ";address=" .. i .. " Elm Street;pay=invoice;options=3way")
  call:expect { heard = contains "number=", within = "60s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "5s" }
  cta:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", certificates = 1, within = "2min" }
end

run(function()
  local bodies = {}
  for i = 1, args.ctas do
    bodies[i] = function() provision(i) end
  end
  parallel(table.unpack(bodies))

  net.pca:expect { customers = args.ctas, under_way = 0, issued = args.ctas, taken_back = 0 }
  net.bh:expect { accounts = args.ctas }
  local numbers, subscribers, accounts, customers = {}, 0, 0, 0
  for i = 1, 4 do
    subscribers = subscribers + net["sc" .. i].subscribers
    accounts = accounts + net["cmts" .. i].accounts
  end
  claim("every subscriber, once", subscribers == args.ctas)
  claim("every account of a head-end, once", accounts == args.ctas)
  local twice, wrong = 0, 0
  for i, cta in ipairs(ctas) do
    local number = net.pca:number { node = cta }
    twice = twice + (numbers[number] and 1 or 0)
    numbers[number] = true
    if net.bh:customer(number) ~= net.pca:customer(number) or net.bh:options(number) ~= "3way" or number:sub(1, 3) ~= tostring(200 + segment(i)) then
      wrong = wrong + 1
    end
  end
  claim("no number twice", twice == 0)
  claim("every account right", wrong == 0)
  for i = 1, args.ctas, 1 + args.ctas // 20 do -- and a number rings at its CTA
    local callee = ctas[1 + i % args.ctas]
    callee:answer { after = "100ms" }
    local call = ctas[i]:dial(net.pca:number { node = callee })
    call:expect { state = "talking", from = callee, within = "10s" }
    call:hangup()
    both(ctas[i], callee):expect { line = "Idle", within = "5s" }
  end
  net.service:expect { calls = 0, call_keys = 0, within = "10s" }
end)
