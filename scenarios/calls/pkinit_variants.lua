--- PKINIT in RSA and Diffie-Hellman mode, over TCP and over UDP in IP fragments, with the KDC in a machine of its own or beside a signaling
--- controller [0041], [0066]-[0069]; an unprovisioned CTA gets a restricted ticket by its device certificate [0133], [0134].
scenario { title = "Ways to a ticket", tags = { "pkinit" }, args = { kdc = "co-located" } }

local net = topology "two_branches" { kdc = args.kdc }
local ways = {}
for i, way in ipairs { { "rsa", "tcp" }, { "rsa", "udp" }, { "dh", "tcp" }, { "dh", "udp" } } do
  ways[i] = net:cta(way[1] .. "_" .. way[2]) { provisioned = "215-555-010" .. i, pkinit = way[1], transport = way[2] }
end
local new = net:cta "new" {}
local old = net:cta "old" { provisioned = "610-555-0109", rsa_bits = 2048 }

run(function()
  for _, cta in ipairs(ways) do
    cta:boot()
  end
  new:boot()
  old:boot()
  all(ways):expect { telephony = "ProvisionedAccess", tickets = 1, pkinit_refusals = 0, within = "10s" }
  old:expect { telephony = "ProvisionedAccess", within = "10s" }

  -- each can call each of the others
  for i, caller in ipairs(ways) do
    local callee = ways[i % #ways + 1]
    callee:answer { after = "100ms" }
    local call = caller:dial(callee.number)
    call:expect { state = "talking", within = "5s" }
    wait "500ms"
    call:expect { rtp_received = at_least(15), from = callee }
    call:hangup()
    call:expect { keys_destroyed = true, within = "2s" }
    wait "1s"
  end

  -- a device certificate: a ticket, but for nobody's number
  new:expect { telephony = "UnprovisionedAccess" }
  local call = new:dial(old.number)
  call:expect { state = "failed", status = 403, within = "5s" }
  expect_refusals { by = "sc.enforce_restriction", count = 1 }
  new:expect { telephony = "UnprovisionedContext" }

  -- a number taken out of the database: its ticket is refused, and so is the next PKINIT
  net.sc2:unsubscribe(old.number)
  call = old:dial(ways[1].number)
  call:expect { state = "failed", within = "1min" }
  expect_refusals { by = "sc.check_subscriber", count = at_least(1) }
  old:expect { telephony = "NotConfigured", within = "10s" }
  expect_refusals { by = "kdc.check_subscriber", from = old, count = at_least(1) }
end)
