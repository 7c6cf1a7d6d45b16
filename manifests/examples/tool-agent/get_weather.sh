# The arguments come as one JSON object on standard input; what is printed is the answer.
case "$(cat)" in
  *Oslo*) echo '{"celsius": -7, "sky": "snow"}' ;;
  *Rome*) echo '{"celsius": 16, "sky": "clear"}' ;;
  *) echo "no weather station is there" >&2; exit 1 ;;   # a failure that the model is told of
esac
