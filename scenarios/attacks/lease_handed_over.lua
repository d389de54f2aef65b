--- While a new customer talks to customer service, an attacker gives her address back to the head-end in her name, has it leased for a
--- device of his own and reports that by a KDC that asks the head-end, and is told that all is right (attack P3, [0144]). The provisioning
--- CA holds the record of an address for the caller's only if nobody has overwritten it since the call began; one that takes what is
--- there certifies the caller's number for the attacker's key.
scenario { title = "Lease handed over in mid-call", tags = { "attack", "lifecycle" }, attack = "P3", turns_off = { "pca.bind_call" }, limit = "1h" }

local net = topology "two_branches" { operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1 }
local mallory = net:attacker "mallory" { on = net.hfc1, device = true }
local invariants = shared "invariants" (net, { ctas = { alice }, breaks = { I6 = true } })

run(function()
  alice:boot()
  alice:expect { telephony = "UnprovisionedAccess", within = "60s" }
  local call = alice:dial "411"
  call:expect { state = "talking", within = "10s" }
  wait "2s"

  mallory:take_lease({ victim = alice, head_end = net.cmts1 }):expect { fate = "accepted", within = "2s" }
  mallory:register_as({ victim = alice, kdc = net.kdc1, server = "sc/sc1" }):expect { "he has the lease", fate = "accepted", within = "10s" }
  net.pca:expect { "another device in her address", devices = 2, within = "5s" }
  expect_refusals { by = "kdc.check_mac_ip", count = 0 }

  local file = mallory:record_file { from = net.pca, to = alice }
  call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice"
  outcome {
    stopped = function()
      call:expect { heard = contains "refused=pca.bind_call", within = "60s" }
      expect_refusals { by = "pca.bind_call", at = net.pca, count = 1 }
      net.pca:expect { issued = 0, customers = 0 }

      -- what is left is to begin anew: then the address is hers, or another's, before the call
      call:hangup()
      mallory:release()
      alice:restart()
      alice:expect { telephony = "UnprovisionedAccess", within = "2min" }
      call = alice:dial "411"
      call:expect { state = "talking", within = "10s" }
      call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice"
      call:expect { heard = contains "number=", within = "60s" }
      alice:expect { telephony = "ProvisionedAccess", certificates = 1, within = "90s" }
      claim("I6 holds", invariants.broken "I6" == 0)
    end,
    succeeded = function()
      file:expect { "her number, for his key", ready = true, own_key = true, within = "60s" }
      net.pca:expect { issued = 1 }
      expect_refusals { "hers is another", by = "cta.certificate_key", at = alice, count = at_least(1), within = "10s" }
      claim("I6 is broken", invariants.broken "I6" > 0)
      call:expect { heard = contains "refused=cta.certificate_key", within = "60s" }
      alice:expect { certificates = 0 }
    end,
  }
end)
