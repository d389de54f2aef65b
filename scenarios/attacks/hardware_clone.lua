--- A CTA with the MAC, the key and the certificate of a customer's CTA comes up on the other segment (attack P1, [0133]). Nothing that it
--- proves tells it from the original; that one MAC is in two places does. A head-end that asks the others first gives the second no address;
--- head-ends that do not ask leave both with tickets, and the clone passes for the customer's device at customer service.
scenario { title = "Hardware clone", tags = { "attack", "lifecycle" }, attack = "P1", limit = "6h" }

local net = topology "two_branches" { operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1 }
local clone = net:cta "clone" { dhcp = true, branch = 2, copy_of = alice }

local function ask(cta, want, answer)
  local call = cta:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type(want)
  call:expect { heard = contains(answer), within = "60s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
end

run(function()
  claim("one MAC", clone.mac == alice.mac)
  alice:boot()
  alice:expect { telephony = "UnprovisionedAccess", within = "60s" }
  ask(alice, "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice;pin=4711", "number=2155550200")
  alice:expect { telephony = "ProvisionedAccess", within = "90s" }
  local tickets = alice.tickets

  clone:boot()
  outcome {
    stopped = function()
      wait "10min"
      clone:expect { telephony = "NotConfigured", hfc = "NotConfigured", tickets = 0 }
      expect_refusals { by = "he.clone", at = net.cmts2, count = at_least(3) }
      net.cmts2:expect { leases = 0, clones = at_least(3) }
      alice:expect { "the original stays", telephony = "ProvisionedAccess", tickets = tickets }

      -- and it has come first: then the customer is the one without service, and known to be in two places
      alice:power_off()
      clone:expect { "its lease ended", hfc = "UnprovisionedAccess", within = "2h" }
      wait "1min"
      alice:boot()
      alice:expect { "her own lease was over", hfc = "NotConfigured", tickets = tickets }
      wait "5min"
      alice:expect { hfc = "NotConfigured", tickets = tickets }
      expect_refusals { by = "he.clone", at = net.cmts1, count = at_least(3) }
    end,
    succeeded = function()
      clone:expect { "a ticket by the same certificate", telephony = "UnprovisionedAccess", hfc = "UnprovisionedAccess", tickets = 1, within = "60s" }
      net.cmts1:expect { leases = at_least(1) }
      net.cmts2:expect { leases = 1, clones = 0 }
      alice:expect { "the original's ticket lives, too", telephony = "ProvisionedAccess", tickets = tickets }
      claim("each in its segment", alice.ticket_ends > now() and clone.ticket_ends > now())
      net.pca:expect { "they are one device", devices = 1 }
      ask(alice, "want=change;options=3way", "done=change")
      ask(clone, "want=new;name=Mallory;address=2 Elm St;pay=invoice", "refused=pca.device_in_use")
      ask(clone, "want=move;number=2155550200", "refused=csr.verify_caller") -- what is left is the PIN
    end,
  }
end)
