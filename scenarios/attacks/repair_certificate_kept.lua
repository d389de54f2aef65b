--- Somebody in a repair facility keeps a device that has the facility's certificate of hours, and goes on calling on its account when they
--- are over (attack P7; patent [0177]). The KDC gives no ticket that outlives the certificate and refuses one past its end; where ends do
--- not count, the calls go on.
scenario { title = "Repair certificate beyond its hours", tags = { "attack", "lifecycle" }, attack = "P7", limit = "24h" }

local net = topology "two_branches" { operations = true }
local dev = net:cta "dev" { dhcp = true, branch = 2 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }

local function call_bob()
  local call = dev:dial(bob.number)
  call:expect { state = "talking", from = bob, within = "10s" }
  wait "10s"
  call:hangup()
  dev:expect { line = "Idle", within = "5s" }
end

run(function()
  dev:boot()
  bob:boot()
  dev:expect { telephony = "UnprovisionedAccess", within = "60s" }
  local call = dev:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type "want=repair;name=Repair Shop;pay=house"
  call:expect { heard = contains "number=6105550200", within = "60s" }
  call:hangup()
  dev:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", certificates = 1, within = "2min" }
  call_bob()
  net.bh:expect { repair_calls = 1, within = "1min" }
  local ticket_ends = dev.ticket_ends
  local number = "610-555-0200"

  wait "9h"
  outcome {
    stopped = function()
      claim("the ticket ends with the certificate", ticket_ends < ns "481min", time(ticket_ends))
      dev:expect { telephony = "UnprovisionedAccess", certificates_removed = 1, within = "10min" }
      expect_refusals { by = "kdc.cert_expired", at = net.kdc1, count = at_least(1) }
      call = dev:dial(bob.number)
      call:expect { state = "failed", status = 403, within = "10s" }
      wait "1min"
      net.bh:expect { repair_calls = 1 }
    end,
    succeeded = function()
      dev:expect { telephony = "ProvisionedAccess", certificates_removed = 0 }
      call_bob()
      -- nor is it only the old ticket
      local tickets = dev.tickets
      dev:restart()
      dev:expect { "a ticket issued after the end", telephony = "ProvisionedAccess", tickets = tickets + 1, within = "2min" }
      call_bob()
      net.bh:expect { "toll calls on the facility's account", repair_calls = 3, repair_seconds = at_least(25), within = "1min" }
      claim("and the number is the facility's", net.bh:kind(number) == "repair", number)
    end,
  }
end)
