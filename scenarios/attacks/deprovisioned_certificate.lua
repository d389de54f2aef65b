--- A former customer uses his certificate, which is valid for years, after his line was ended (attack P5). The KDC asks the signaling
--- controller whether it still knows the phone ID; a KDC that does not ask gives a ticket, which the controller itself still refuses.
scenario { title = "Certificate after de-provisioning", tags = { "attack", "lifecycle" }, attack = "P5", limit = "1h" }

local net = topology "two_branches" { operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }

run(function()
  alice:boot()
  bob:boot()
  alice:expect { telephony = "UnprovisionedAccess", within = "60s" }
  local call = alice:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice"
  call:expect { heard = contains "number=2155550200", within = "60s" }
  call:hangup()
  alice:expect { telephony = "ProvisionedAccess", certificates = 1, within = "90s" }
  net.pca:terminate "215-555-0200"
  net.pca:expect { customers = 0, under_way = 0, within = "30s" }
  net.bh:expect { accounts = 0 }
  net.sc1:expect { subscribers = 0 }
  net.cmts1:expect { accounts = 0 }

  local tickets = alice.tickets
  alice:restart()
  outcome {
    stopped = function()
      alice:expect { pkinit_refusal = "KDC_ERR_CLIENT_REVOKED", within = "30s" }
      expect_refusals { by = "kdc.check_subscriber", count = 1 }
      alice:expect { "the next ticket is by the manufacturer certificate", certificates_removed = 1, tickets = tickets + 1,
        telephony = "UnprovisionedAccess", within = "2min" }
    end,
    succeeded = function()
      alice:expect { "a ticket after the removal", telephony = "ProvisionedAccess", tickets = tickets + 1, certificates_removed = 0, within = "30s" }
      call = alice:dial(bob.number)
      call:expect { state = "failed", within = "30s" }
      expect_refusals { "the controller refuses it", by = "sc.check_subscriber", at = net.sc1, count = at_least(1) }
    end,
  }
end)
