--- Repair (FIG. 11): a CTA is sent to a repair facility in another segment, is provisioned there for the facility's account by a certificate
--- of hours, tested, gets its owner's certificate back over a call to customer service, and works at home, where it was provisioned all
--- the time. Meanwhile the customer has a loaner. The certificate of hours is worth nothing when they are over.
---
--- The owner's certificate that comes back is not the old one: the CA signs another for the owner's number, which starts later than every
--- certificate of this device before. So it passes the CTA's check of start times, which knows no exception.
scenario { title = "Repair", tags = { "lifecycle", "fig11" }, args = { wan = "10ms" }, limit = "30h" }

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
-- the engineer pulls the plug before it reboots
local carol = net:cta "carol" { dhcp = true, branch = 1, reboot_after = "20s" }
local loaner = net:cta "loaner" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local invariants = shared "invariants" (net, { ctas = { carol, loaner }, others = { 0, 1 } })

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }
never { "I4: no answered call goes free", record = "missing" }

local function ask(cta, text, title, answer)
  local call = cta:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type(text)
  call:expect { title, heard = contains(answer), within = "60s" }
  call:hangup()
  cta:expect { line = "Idle", within = "5s" }
end

local function talks(cta, title)
  local call = cta:dial(bob.number)
  call:expect { title, state = "talking", from = bob, within = "10s" }
  wait "3s"
  call:hangup()
  cta:expect { line = "Idle", within = "5s" }
end

local function accounts(title, customers, repairs, sc1, sc2)
  net.pca:expect { title, customers = customers, repairs = repairs, under_way = 0 }
  net.bh:expect { title, accounts = customers, repair_accounts = repairs }
  net.sc1:expect { title, subscribers = sc1 }
  net.cmts1:expect { title, accounts = sc1 }
  net.sc2:expect { title, subscribers = sc2 + 1 } -- bob
  net.cmts2:expect { title, accounts = sc2 }
end

-- answered calls so far on the customer's numbers, the facility's, by devices without account
local function billed(title, carols, loaners, facilitys, restricted)
  both(net.sc1, net.sc2):expect { records_waiting = 0, within = "10s" }
  wait "1s"
  local calls = { net.bh:calls "215-555-0200", net.bh:calls "215-555-0201", net.bh:calls "610-555-0200" }
  claim(title .. ": who pays", calls[1] == carols and calls[2] == loaners and calls[3] == facilitys, table.concat(calls, ", "))
  net.bh:expect { title, customer_calls = carols + loaners, repair_calls = facilitys, restricted_calls = restricted, nobodys_calls = 0 }
end

local function to_facility()
  carol:carry(net.hfc2)
  carol:boot()
  carol:expect { "a stranger at the facility", telephony = "UnprovisionedAccess", hfc = "UnprovisionedAccess", within = "3min" }
end

local function home()
  carol:carry(net.hfc1)
  carol:boot()
  carol:expect { "home again", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "3min" }
  talks(carol, "works at home")
end

run(function()
  carol:boot()
  bob:boot()
  carol:expect { telephony = "UnprovisionedAccess", within = "60s" }
  ask(carol, "want=new;name=Carol;address=1 Elm St;pay=invoice;options=3way;pin=4711", "provisioned", "number=2155550200")
  carol:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }

  -- to the facility; the customer gets a loaner
  to_facility()
  loaner:boot()
  loaner:expect { telephony = "UnprovisionedAccess", within = "60s" }
  ask(loaner, "want=new;name=Carol;address=1 Elm St;pay=invoice", "the loaner is provisioned", "number=2155550201")
  loaner:expect { telephony = "ProvisionedAccess", within = "90s" }
  talks(loaner, "the loaner works")
  billed("a loaner", 0, 1, 0, 2)

  -- the facility's account
  ask(carol, "want=repair;name=Repair Shop;pay=house", "the facility's account", "number=6105550200")
  carol:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "2min" }
  accounts("under repair", 2, 1, 2, 1)
  claim("the facility's number is not the customer's", net.bh:kind "610-555-0200" == "repair" and net.bh:kind "215-555-0200" == "customer")
  talks(carol, "tested")
  billed("the tests are the facility's alone", 0, 1, 1, 3)
  claim("of three seconds", net.bh:seconds "610-555-0200" >= 3 and net.bh:seconds "610-555-0200" <= 4, net.bh:seconds "610-555-0200")

  -- the certificate of hours
  wait "9h"
  carol:expect { "the hours are over: neither certificate nor ticket", telephony = "UnprovisionedAccess", certificates_removed = 2, within = "5min" }
  local call = carol:dial(bob.number)
  call:expect { "nobody but customer service", state = "failed", status = 403, within = "10s" }
  expect_refusals { by = "kdc.cert_expired", at = net.kdc1 }

  -- and back
  ask(carol, "want=repair;number=2155550200", "the owner's certificate", "done=repair")
  carol:expect { certificates = 3, telephony = "ReceivedOperatorCertificate" }
  accounts("repaired", 2, 0, 2, 0)
  home()
  claim("the number it had", net.pca:number { node = carol } == "2155550200" and net.bh:options "215-555-0200" == "3way")
  accounts("home again", 2, 0, 2, 0)
  billed("home again: the customer's own call, and no test", 1, 1, 1, 4)
  invariants.agree "in the end"
end)
