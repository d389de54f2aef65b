--- A device with two numbers at one head-end: its customer has moved to the segment of the repair facility, whose account is still open
--- there [0170], [0176]. When the facility's is closed the customer's stays; the head-end's list has the device as long as one of them
--- is its.
scenario { title = "Two numbers of one device", tags = { "lifecycle", "fig10", "fig11" }, limit = "30h" }

local net = topology "two_branches" { operations = true }
local carol = net:cta "carol" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local invariants = shared "invariants" (net, { ctas = { carol }, others = { 0, 1 } })

never { "I4: each record is one call's, on its caller's account", record = "wrong" }

local function ask(text, what, answer)
  local call = carol:dial "411"
  call:expect { what, state = "talking", within = "10s" }
  call:type(text)
  call:expect { what, heard = contains(answer), within = "60s" }
  call:hangup()
  carol:expect { what, line = "Idle", within = "5s" }
end

local function stands(what, customers, repairs)
  net.pca:expect { what, customers = customers, repairs = repairs, under_way = 0, within = "30s" }
  net.bh:expect { what, accounts = customers, repair_accounts = repairs }
  net.sc2:expect { what, subscribers = customers + repairs + 1, orders = 0 } -- bob
  net.cmts2:expect { what, accounts = 1 }
end

run(function()
  carol:boot()
  bob:boot()
  carol:expect { telephony = "UnprovisionedAccess", within = "60s" }
  ask("want=new;name=Carol;address=1 Elm St;pay=invoice;pin=4711", "provisioned", "number=2155550200")
  carol:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }

  carol:carry(net.hfc2)
  carol:boot()
  carol:expect { "a stranger here", telephony = "UnprovisionedAccess", hfc = "UnprovisionedAccess", within = "3min" }
  ask("want=repair;name=Repair Shop;pay=house", "the facility's account", "number=6105550200")
  carol:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "2min" }
  wait "9h"
  carol:expect { "the facility's hours are over", telephony = "UnprovisionedAccess", within = "5min" }

  ask("want=move;number=2155550200;pin=4711", "moved", "number=6105550201")
  carol:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "2min" }
  stands("two numbers", 1, 1)
  net.cmts1:expect { "gone from the old segment", accounts = 0 }

  net.pca:terminate "610-555-0200"
  stands("the customer's alone", 1, 0)
  carol:restart()
  carol:expect { "the customer has not lost anything", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "3min" }
  local call = carol:dial(bob.number)
  call:expect { state = "talking", from = bob, within = "10s" }
  call:hangup()
  carol:expect { line = "Idle", within = "5s" }
  invariants.agree "in the end"
end)
