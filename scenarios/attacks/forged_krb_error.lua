--- One forged packet in the KDC's name says that a customer is revoked (attack K8): nobody signs a KRB-ERROR. The CTA keeps its certificate,
--- registers with its head-end again, learns from the signed configuration that it has an account, and gets its ticket. One that takes
--- the KRB-ERROR at its word throws its certificate away and is unprovisioned. Nor does it help to put the configuration of the time before
--- the account, which the operator has signed as well, into the place of today's: it is older than the refusal.
scenario { title = "Forged KRB-ERROR", tags = { "attack", "lifecycle" }, attack = "K8", limit = "1h" }

local net = topology "two_branches" { operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1, transport = "udp" }
local mallory = net:attacker "mallory" { on = net.hfc1 }

run(function()
  local old_configuration = mallory:record_file { from = net.cmts1 }
  alice:boot()
  alice:expect { telephony = "UnprovisionedAccess", within = "60s" }
  local call = alice:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice"
  call:expect { heard = contains "number=2155550200", within = "60s" }
  call:hangup()
  alice:expect { telephony = "ProvisionedAccess", certificates = 1, within = "90s" }

  local as_req = mallory:capture { kind = "AS-REQ", to = net.kdc1 }
  alice:restart()
  as_req:expect { ready = true, within = "30s" }
  local forged = mallory:forge_krb_error { capture = as_req }

  outcome {
    stopped = function()
      forged:expect { "the try ends by it, no more", fate = "accepted", within = "1s" }
      alice:expect { pkinit_refusal = "KDC_ERR_CLIENT_REVOKED", certificates_removed = 0 }
      alice:expect { "its head-end knows better", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "60s" }
      alice:expect { certificates_removed = 0, certificates = 1 }
      net.pca:expect { customers = 1 }

      -- once more, and now its head-end seems to agree
      wait "5min"
      as_req = mallory:capture { kind = "AS-REQ", to = net.kdc1 }
      alice:restart()
      as_req:expect { ready = true, within = "30s" }
      local put = mallory:substitute_file { file = old_configuration, from = net.cmts1, to = alice }
      mallory:forge_krb_error { capture = as_req }
      put:expect { hits = 2, within = "30s" }
      alice:expect { hfc = "UnprovisionedAccess", within = "30s" }
      expect_refusals { by = "cta.old_configuration", at = alice, count = 1 }
      alice:expect { certificates_removed = 0 }
      mallory:release()
      alice:restart()
      alice:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", certificates_removed = 0, within = "2min" }
    end,
    succeeded = function()
      forged:expect { fate = "accepted", within = "1s" }
      alice:expect { "the certificate is gone", certificates_removed = 1, within = "1s" }
      alice:expect { "though it has an account", telephony = "UnprovisionedAccess", within = "60s" }
      net.pca:expect { customers = 1 }
      net.sc1:expect { subscribers = 1 }
    end,
  }
end)
