--- What scenarios about the life of CTAs share: calls to customer service, whether provisioning CA, billing host, controllers and head-ends
--- agree about every account, and faults put into a flow one after the other.
---
---   local life = shared "lifecycle" (net, { ctas = { alice }, others = { 0, 1 } })
--- net is a two_branches with operations; ctas: all that may have an account; others: subscribers of a branch beside them.
return function(net, given)
  local life = {}
  local others = given.others or { 0, 0 }

  function life.wait_until(limit, condition)
    local ends = now() + ns(limit)
    while not condition() and now() < ends do
      wait "50ms"
    end
    return condition()
  end

  -- The branch of a number, by location.
  function life.branch_of(number)
    return number:find "^215" and 1 or 2
  end

  -- Every account, as the provisioning CA has it, is the same everywhere, and there is no other.
  local function check_account(what, number, kind, options)
    claim(what .. ": billing and provisioning know the same customer", net.bh:customer(number) == net.pca:customer(number), number)
    claim(what .. ": billing knows whose account it is", net.bh:kind(number) == kind, number)
    claim(what .. ": billing and provisioning know the same options", net.bh:options(number) == net.pca:options(number), number)
  end

  function life.agree(what)
    net.pca:expect { what, under_way = 0, within = "20min" }
    both(net.sc1, net.sc2):expect { what, orders = 0, within = "2min" }
    local of = { customer = 0, repair = 0 }
    local at = { 0, 0 }
    for _, cta in ipairs(given.ctas) do
      for _, kind in ipairs { "customer", "repair" } do
        local number = net.pca:number { node = cta, ["repair"] = kind == "repair" }
        if number then
          of[kind] = of[kind] + 1
          at[life.branch_of(number)] = at[life.branch_of(number)] + 1
          check_account(what, number, kind)
        end
      end
    end
    net.pca:expect { what, customers = of.customer, repairs = of.repair }
    net.bh:expect { what, accounts = of.customer, repair_accounts = of.repair }
    for branch = 1, 2 do
      net["sc" .. branch]:expect { what, subscribers = at[branch] + others[branch] }
      net["cmts" .. branch]:expect { what, accounts = at[branch] }
    end
  end

  -- Where FIG. 5 has a CTA that is switched on and does nothing.
  function life.stands(cta, what)
    cta:expect { what, telephony = one_of("UnprovisionedAccess", "ProvisionedAccess"),
      hfc = one_of("UnprovisionedAccess", "ProvisionedAccess"), line = "Idle", within = "10min" }
  end

  local function over(call)
    return call.state == "over" or call.state == "failed"
  end

  -- Until no association lasts, also between servers: their exchanges are lost like all else.
  function life.rest()
    wait "61min"
  end

  -- A call to customer service, as far as it goes. What was answered in the end, or nil.
  function life.ask(cta, text, disturb)
    local said
    if disturb then
      disturb()
    end
    local call = cta:dial "411"
    life.wait_until("20s", function() return call.state == "talking" or over(call) end)
    if call.state == "talking" then
      call:type(text)
    end
    life.wait_until("40s", function()
      said = call.heard
      return over(call) or said:find "^done=" or said:find "^refused="
    end)
    if not over(call) then
      call:hangup()
    end
    life.wait_until("60s", function() return cta.line == "Idle" end)
    return said
  end

  -- Asks for something, with a fault at the first try; another try without completes it, if the first did not. text: or a function.
  function life.attempt(cta, text, what, reached, disturb)
    for try = 1, 2 do
      life.ask(cta, type(text) == "function" and text() or text, try == 1 and disturb or nil)
      net.pca:expect { what, under_way = 0, within = "20min" }
      wait "3s"
      life.stands(cta, what)
      life.agree(what)
      if reached() then
        return try
      end
    end
    claim(what .. ": done at the second try", false, cta.call.heard)
  end

  function life.provisioned(cta, what)
    cta:expect { what, telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", line = "Idle", within = "5min" }
  end

  function life.unprovisioned(cta, what)
    cta:expect { what, telephony = "UnprovisionedAccess", hfc = "UnprovisionedAccess", line = "Idle", within = "10min" }
  end

  -- Faults. one(what, disturb) runs the flow; disturb() is called when the fault may come.

  local function one_fault(links, given_rule, verb, every, one)
    local hits = 0
    local function with(nth)
      local rules = {}
      local what = verb .. " " .. nth .. " " .. (given_rule.kind or "packet") .. " on " .. links.name
      one(what, function()
        rules[1] = links.tap[verb](links.tap, { kind = given_rule.kind, from = given_rule.from, to = given_rule.to, nth = nth, count = 1,
          by = verb == "delay" and "4s" or nil })
      end)
      claim(what .. ": the fault was put in", rules[1] ~= nil)
      local met = rules[1].hits > 0
      rules[1]:stop()
      hits = hits + (met and 1 or 0)
      return met
    end
    local nth = every
    while with(nth) do
      nth = nth + every
    end
    if hits == 0 and every > 1 then
      with(1)
    end
    claim("there was something on " .. links.name, hits > 0)
  end

  local taps = {}
  function life.tap(name)
    taps[name] = taps[name] or { name = name, tap = net:attacker("tap_" .. name) { on = net[name] } }
    return taps[name]
  end

  -- Each packet of a kind on a link lost (or "delay": for longer than anybody waits before saying it again), one a run; every: 1 each, 2
  -- every other. losses: { "hfc1", kind = "ESP" }, ...
  function life.lose_each(losses, every, one, verb)
    for i, loss in ipairs(losses) do
      -- not always the same ones
      one_fault(life.tap(loss[1]), loss, verb or "drop", every > 1 and every + i % 2 or 1, one)
    end
  end

  -- Every packet twice.
  function life.repeat_all(links, one)
    for _, name in ipairs(links) do
      one("each packet twice on " .. name, function() net[name]:set { duplicate = "100%" } end)
      net[name]:set { duplicate = "0%" }
    end
  end

  -- Each part restarted at each moment, in ms from the call to customer service.
  function life.restart_each(parts, moments, every, one)
    local nth = 0
    for p, part in ipairs(parts) do
      for _, moment in ipairs(moments) do
        nth = nth + 1
        if (nth + p) % every == 0 then
          one(part.name .. " restarted after " .. moment .. " ms", function()
            after(moment .. "ms", function() part:restart() end)
          end)
        end
      end
    end
  end

  return life
end
