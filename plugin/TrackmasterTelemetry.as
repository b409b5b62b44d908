// TrackmasterTelemetry: TrackMania 2020's end of the telemetry link to trackmaster, for OpenPlanet.
//
// It serves one client at a time on 127.0.0.1:9000. On connection, and again whenever the map changes, it sends a header
// of 64 bytes: magic "TMOP", version (uint16), bytes per record (uint16), map UID (32 bytes, zero-padded), 24 zeros. Then
// with every picture a record: tag "TMRC" and FIELDS float32, all little-endian. The numbers are those of
// src/trackmaster/game/openplanet/layouts.py (layout "trackmaster"); a test compares them.
//
// Needs the plugin dependency VehicleState (info.toml: dependencies = [ "VehicleState" ]).

const string MAGIC = "TMOP";
const string RECORD_TAG = "TMRC";
const uint16 STREAM_VERSION = 1;
const int HEADER_BYTES = 64;
const int UID_BYTES = 32;
const int FIELDS = 33;
const uint16 RECORD_BYTES = 136;
const uint16 PORT = 9000;

string CurrentMapUid(CTrackMania@ app)
{
    return app.RootMap is null ? "" : app.RootMap.MapInfo.MapUid;
}

MemoryBuffer@ Header(const string &in uid)
{
    MemoryBuffer@ buffer = MemoryBuffer(0);
    buffer.Write(MAGIC);
    buffer.Write(STREAM_VERSION);
    buffer.Write(RECORD_BYTES);
    string name = uid.Length > UID_BYTES ? uid.SubStr(0, UID_BYTES) : uid;
    buffer.Write(name);
    for (int i = 8 + int(name.Length); i < HEADER_BYTES; i++) buffer.Write(uint8(0));
    return buffer;
}

void WriteVector(MemoryBuffer@ buffer, const vec3 &in v)
{
    buffer.Write(v.x);
    buffer.Write(v.y);
    buffer.Write(v.z);
}

float Flag(bool value)
{
    return value ? 1.0f : 0.0f;
}

// The fields of one record, in the order of the layout; the comments name them.
MemoryBuffer@ Record(CSmScriptPlayer@ player, CSceneVehicleVisState@ car, bool isFinished)
{
    MemoryBuffer@ buffer = MemoryBuffer(0);
    buffer.Write(RECORD_TAG);
    buffer.Write(float(player.RaceWaypointTimes.Length));                   // 0 cp_count
    buffer.Write(float(player.CurrentLapNumber));                           // 1 lap
    buffer.Write(Flag(isFinished));                                         // 2 finished
    buffer.Write(float(player.CurrentRaceTime));                            // 3 race_time
    WriteVector(buffer, car.Position);                                      // 4 position
    WriteVector(buffer, car.WorldVel);                                      // 7 velocity
    WriteVector(buffer, car.Dir);                                           // 10 forward
    WriteVector(buffer, car.Up);                                            // 13 up
    buffer.Write(player.Speed);                                             // 16 speed
    buffer.Write(VehicleState::GetRPM(car));                                // 17 rpm
    buffer.Write(float(car.CurGear));                                       // 18 gear
    buffer.Write(car.FLSlipCoef);                                           // 19 slip
    buffer.Write(car.FRSlipCoef);
    buffer.Write(car.RLSlipCoef);
    buffer.Write(car.RRSlipCoef);
    buffer.Write(float(int(car.FLGroundContactMaterial)));                  // 23 material
    buffer.Write(float(int(car.FRGroundContactMaterial)));
    buffer.Write(float(int(car.RLGroundContactMaterial)));
    buffer.Write(float(int(car.RRGroundContactMaterial)));
    buffer.Write(float(player.SkiddingWheelCount));                         // 27 skidding
    buffer.Write(float(player.FlyingDuration));                             // 28 flying
    buffer.Write(player.AdherenceCoef);                                     // 29 adherence
    buffer.Write(player.InputSteer);                                        // 30 steer
    buffer.Write(player.InputGasPedal);                                     // 31 gas
    buffer.Write(Flag(player.InputIsBraking));                              // 32 brake
    buffer.Seek(0);
    return buffer;
}

// Sends while the client listens; returns when it has gone.
void Serve(Net::Socket@ client)
{
    CTrackMania@ app = cast<CTrackMania>(GetApp());
    string announced = "";
    bool hasAnnounced = false;
    while (!client.IsHungUp()) {
        CSmArenaClient@ playground = cast<CSmArenaClient>(app.CurrentPlayground);
        CSceneVehicleVisState@ car = null;
        if (playground !is null && playground.GameTerminals.Length > 0) @car = VehicleState::ViewingPlayerState();
        if (car !is null) {
            CGameTerminal@ terminal = playground.GameTerminals[0];
            CSmPlayer@ driver = cast<CSmPlayer>(terminal.GUIPlayer);
            CSmScriptPlayer@ player = null;
            if (driver !is null) @player = cast<CSmScriptPlayer>(driver.ScriptAPI);
            if (player !is null) {
                string uid = CurrentMapUid(app);
                if (!hasAnnounced || uid != announced) {
                    MemoryBuffer@ header = Header(uid);
                    header.Seek(0);
                    if (!client.Write(header)) return;
                    announced = uid;
                    hasAnnounced = true;
                }
                bool isFinished = terminal.UISequence_Current == SGamePlaygroundUIConfig::EUISequence::Finish;
                if (!client.Write(Record(player, car, isFinished))) return;
            }
        }
        yield();
    }
}

void Main()
{
    while (true) {
        Net::Socket@ listener = Net::Socket();
        if (!listener.Listen("127.0.0.1", PORT)) {
            print("TrackmasterTelemetry: port 9000 cannot be listened on; another plugin has it");
            sleep(5000);
            continue;
        }
        print("TrackmasterTelemetry: waiting for a client on port 9000");
        Net::Socket@ client = listener.Accept(0);
        while (client is null) {
            yield();
            @client = listener.Accept(0);
        }
        print("TrackmasterTelemetry: a client is connected");
        Serve(client);
        client.Close();
        listener.Close();
        print("TrackmasterTelemetry: the client has gone");
    }
}
