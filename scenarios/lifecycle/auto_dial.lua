--- Automatic dialling [0140]: a CTA without an account calls customer service as soon as its phone goes off-hook. So whoever dials 911 there
--- gets customer service too; once it is provisioned it calls whom its customer dials, and 911 answers.
scenario {
  title = "Automatic dialling before provisioning", tags = { "lifecycle", "fig7" }, args = { wan = "10ms" }, limit = "1h",
  set = { ["cta.auto_dial"] = "on" },
}

local net = topology "two_branches" {
  wan = { delay = args.wan }, operations = true, restricted = "411,911", reach = "10.104.0.20",
  server = { number = "911", lines = 10, announcement = "5s" }, -- stands for the emergency centre
}
local new = net:cta "new" { dhcp = true, branch = 1 }
local invariants = shared "invariants" (net, { ctas = { new }, others = { 0, 0 }, reach = { net.announce } })

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }

run(function()
  new:boot()
  new:expect { telephony = "UnprovisionedAccess", within = "60s" }

  -- the price of it
  local call = new:dial "911"
  call:expect { "911 is customer service", state = "talking", from = net.service, within = "10s" }
  call:hangup()
  new:expect { line = "Idle", within = "5s" }
  net.announce:expect { calls = 0 }

  call = new:dial()
  call:expect { "off-hook is enough", state = "talking", from = net.service, within = "10s" }
  call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice"
  call:expect { heard = contains "number=2155550200", within = "60s" }
  call:hangup()
  new:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }

  call = new:dial "911"
  call:expect { "911 is 911", state = "talking", from = net.announce, within = "10s" }
  call:hangup()
  new:expect { line = "Idle", within = "5s" }
  net.pca:expect { customers = 1, under_way = 0 }
  net.bh:expect { accounts = 1 }
  invariants.agree "in the end"
end)
