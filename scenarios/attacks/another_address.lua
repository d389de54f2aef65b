--- Before a new customer calls customer service, an attacker asks the KDC for a ticket in her address, with the certificate of a device of
--- his own (attack P3, [0133], [0144]). A KDC that does not ask the head-end who has the address has the provisioning CA believe that his
--- device is there: her number is certified for his key, he takes the certificate off the wire, and her own CTA must refuse it.
scenario { title = "Certificate for another's key", tags = { "attack", "lifecycle" }, attack = "P3", turns_off = { "kdc.check_mac_ip" }, limit = "1h" }

local net = topology "two_branches" { operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1 }
local mallory = net:attacker "mallory" { on = net.hfc1, device = true }

run(function()
  alice:boot()
  alice:expect { telephony = "UnprovisionedAccess", within = "60s" }
  net.pca:expect { devices = 1 }
  local asked = mallory:register_as { victim = alice, kdc = net.kdc1, server = "sc/sc1" }
  local file = mallory:record_file { from = net.pca, to = alice }
  outcome {
    stopped = function()
      asked:expect { fate = "refused", by = "kdc.check_mac_ip", within = "10s" }
      expect_refusals { by = "he.mac_mismatch", at = net.cmts1, count = 1 }
      net.pca:expect { "nobody tells it of his device", devices = 1 }
    end,
    succeeded = function()
      asked:expect { fate = "accepted", within = "10s" }
      net.pca:expect { "another device in her address", devices = 2, within = "5s" }
    end,
  }
  wait "10s"
  local call = alice:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice"
  outcome {
    stopped = function()
      call:expect { heard = contains "number=2155550200", within = "60s" }
      call:hangup()
      file:expect { "hers, for her key", ready = true, own_key = false }
      alice:expect { certificates = 1, telephony = "ProvisionedAccess", within = "90s" }
    end,
    succeeded = function()
      file:expect { "her number, for his key", ready = true, own_key = true, within = "60s" }
      net.pca:expect { issued = 1 }
      expect_refusals { "hers is another", by = "cta.certificate_key", at = alice, count = at_least(1), within = "10s" }
      call:expect { heard = contains "refused=cta.certificate_key", within = "60s" }
      alice:expect { certificates = 0, telephony = one_of("UnprovisionedAccess", "UnprovisionedContext") }
    end,
  }
end)
