--- A customer moves to the other segment, takes a new line there, and does not tell that he has moved: his old CTA, with access from the
--- new head-end, goes on asking for the old controller with the old segment's certificate, as its software, which he has changed, says
--- (attack P6, [0162]-[0175]). The KDC gives a ticket for a controller only to who asks from its segment; one that does not look leaves two
--- segments live for one customer, and his old number calls and is called where it does not belong.
scenario { title = "Old segment's certificate after a move", tags = { "attack", "lifecycle" }, attack = "P6", limit = "1h" }

local net = topology "two_branches" { operations = true }
local neighbour = net:cta "neighbour" { provisioned = "215-555-0104", branch = 1 } -- stays in the old segment
local old = net:cta "old" { dhcp = true, branch = 1, keeps_controller = true, auto_answer = "500ms" }
local new = net:cta "new" { dhcp = true, branch = 2, auto_answer = "500ms" }

local function subscribe(cta, number)
  cta:boot()
  cta:expect { telephony = "UnprovisionedAccess", within = "60s" }
  local call = cta:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type "want=new;name=Dave;address=1 Elm St;pay=invoice"
  call:expect { heard = contains("number=" .. number), within = "60s" }
  call:hangup()
  cta:expect { telephony = "ProvisionedAccess", within = "90s" }
end

run(function()
  neighbour:boot()
  subscribe(old, "2155550200")
  local call = old:dial(neighbour.number)
  call:expect { "at home all is as it should be", state = "ringing", within = "10s" }
  call:hangup()
  wait "5s"
  local tickets = old.tickets

  old:carry(net.hfc2)
  net.cmts2:enter_lease { node = old, ip = "10.2.0.200" }
  subscribe(new, "6105550200")
  old:boot()
  outcome {
    stopped = function()
      old:expect { pkinit_refusal = "KDC_ERR_POLICY", within = "30s" }
      wait "10min"
      old:expect { "however often it asks", tickets = tickets, telephony = "NotConfigured", hfc = "ProvisionedAccess" }
      expect_refusals { by = "kdc.check_segment", count = at_least(3) }
      neighbour:dial "215-555-0200":expect { "the old number is not reached", state = "failed", within = "2min" }
      neighbour:expect { line = "Idle", within = "10s" }
      neighbour:dial "610-555-0200":expect { "the new one is", state = "talking", from = new, within = "20s" }
    end,
    succeeded = function()
      old:expect { "a ticket for the old segment, asked for from the new", telephony = "ProvisionedAccess", tickets = tickets + 1, within = "30s" }
      claim("in the new segment", old.ip == "10.2.0.200" and old.segment == net.hfc2)
      call = old:dial "610-555-0200"
      call:expect { "both his lines are live", state = "talking", from = new, within = "10s" }
      call:hangup()
      both(old, new):expect { line = "Idle", within = "10s" }
      neighbour:dial "215-555-0200":expect { "his old number is reached in the new segment", state = "talking", from = old, within = "20s" }
      net.pca:expect { customers = 2 }
    end,
  }
end)
