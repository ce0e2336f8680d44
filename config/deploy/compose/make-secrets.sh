#!/bin/sh
# Creates the secrets of ../compose.yaml; existing ones do not change.
#
# Only you can open the folder. The files in it are readable by all users, because the containers mount them unchanged
# and run as other users.
set -eu
umask 022
folder=$(dirname "$0")/secrets
mkdir -p -m 0700 "$folder"

random() { od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'; }
write() { [ -e "$folder/$1" ] || printf '%s' "$2" > "$folder/$1"; }

write operator_token "$(random)"
write postgres_password "$(random)"
write database_url "postgresql://tidewaiter:$(cat "$folder/postgres_password")@postgres/tidewaiter"
write s3_secret_key "$(random)"
write s3_identities "{\"identities\": [{
  \"name\": \"tidewaiter\",
  \"credentials\": [{\"accessKey\": \"tidewaiter\", \"secretKey\": \"$(cat "$folder/s3_secret_key")\"}],
  \"actions\": [\"Read:exports\", \"List:exports\", \"Tagging:exports\", \"Write:exports\"]
}]}"

echo "the secrets are in $folder; $folder/operator_token opens the API and the page"
