wanted=$(sed 's/[^0-9]//g')
# The same key comes with the same call, should it be sent again after a crash.
echo "{\"heating\": $wanted, \"order\": \"$SUPERSTEP_IDEMPOTENCY_KEY\"}"
